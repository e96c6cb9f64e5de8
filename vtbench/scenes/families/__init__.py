"""The built-in scene families, one a module; `vtbench.scenes.builtin` lists them."""
