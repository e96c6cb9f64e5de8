"""Fails on import, as a plugin does whose own dependency has changed under it."""

raise RuntimeError("the flux capacitor is missing")
