"""vtbench: what a vision-language model answers, and what its visual tokens carry."""

__version__ = "0.1.0"

from vtbench.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]
