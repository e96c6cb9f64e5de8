"""From the arguments of an adapter's factory to a loaded model, and back to a checkpoint's directory.

In the order of use: `arguments` (what a factory takes), `model_types` (which adapter serves which checkpoint), `config`
(is this an image-text checkpoint that the adapter serves), `files` (are its weights complete), `processor` and `loader`
(load it), `published` (write one). Importing the package, `arguments`, `model_types` or `files` imports no backend.
"""
