"""The built-in scene families, one a module; `vtbench.scenes.plugin` registers them."""
