"""Synthetic scenes: (task settings, index) -> scene, image, question and answer.

Data flow: `scene_settings` -> `items` (asks a `family` for a cluster, drawing from `rng`) -> `placement` -> `scene` ->
`relations` (what is true) -> `questions`; `render` (with `backgrounds` and `shapes`) makes the image, `corruption`
degrades it, and `splits` says which split owns a scene. Every step is a pure function, the same on every machine.
"""
