"""The plugin that brings the built-in scene families, registered like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl
from vtbench.scenes.builtin import builtin_families

if TYPE_CHECKING:
    from vtbench.scenes.family import FamilyFactory


@hookimpl
def vtbench_scene_families() -> dict[str, FamilyFactory]:
    """Return the built-in families."""
    return builtin_families()
