"""Paired comparison of runs: stored runs -> shared samples -> ratio terms or coordinates -> score rows -> tables."""
