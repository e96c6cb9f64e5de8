"""Coordinates of each image: principal components of its measured tokens and patches."""
