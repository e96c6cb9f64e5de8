"""The suite as metrics of a run."""
