"""Coordinates of each image: which tokens and patches are measured, and their principal components."""
