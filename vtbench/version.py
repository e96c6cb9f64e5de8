"""The version of vtbench, apart from the root namespace so that any module may import it."""

__version__ = "0.1.0"
