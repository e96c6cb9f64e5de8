"""Instances."""
