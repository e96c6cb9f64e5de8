"""Default arguments of an export."""

IMAGE_SIZE = 112
"""Side in pixels of rendered images: the input size of the embedded model."""
SHARD_BYTES = 500_000_000
"""Approximate maximum of image bytes per file."""
RUN_FORMATS = ("inspect",)
"""Formats of a finished run; the others are of tasks."""
