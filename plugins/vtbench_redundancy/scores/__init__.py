"""Coordinates of tokens and images to scores with intervals and flags."""
