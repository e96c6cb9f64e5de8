"""Scenes made by program: (task settings, index) -> scene, image, question and answer.

Data flow: `scene_settings` -> `items` (asks a `family` for a cluster, drawing from `rng`) -> `placement` -> `scene` ->
`relations` (which statements are true) -> `questions`; `render` (with `backgrounds` and `shapes`) makes the image,
`corruption` degrades it, and `splits` assigns each scene to a split. In natural scenes `cast` and `photographs` are
read in the place of shapes and colours, and `cutout_drawing` (with `tint`) draws objects. Every step is a pure
function, the same on every machine.
"""
