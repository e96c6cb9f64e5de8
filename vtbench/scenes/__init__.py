"""Scenes: (task settings, index) in, scene, picture, question and answer out. Pure and the same on every machine."""
