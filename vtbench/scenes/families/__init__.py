"""The built-in scene families, one per module; `vtbench.scenes.builtin` lists them."""
