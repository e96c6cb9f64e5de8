"""Runs a model on tasks: setup, loop, workers, inference."""
