"""The built-in scene families by name; each is imported when its factory is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtbench.scenes.family import FamilyFactory, SceneFamily


def coarse() -> SceneFamily:
    """Shape of a single object."""
    from vtbench.scenes.families.coarse import Coarse

    return Coarse()


def attribute() -> SceneFamily:
    """Colour or texture of one object among others, or colour of the background."""
    from vtbench.scenes.families.attribute import Attribute

    return Attribute()


def relational() -> SceneFamily:
    """Spatial or depth relation of two objects, in minimal pairs."""
    from vtbench.scenes.families.relational import Relational

    return Relational()


def scene_graph() -> SceneFamily:
    """The whole scene as one line of text."""
    from vtbench.scenes.families.scene_graph import SceneGraph

    return SceneGraph()


def precise_offset() -> SceneFamily:
    """On which side of one object another lies, for offsets from large to tiny."""
    from vtbench.scenes.families.precise_offset import PreciseOffset

    return PreciseOffset()


def occlusion() -> SceneFamily:
    """Colour or texture of a partly hidden object."""
    from vtbench.scenes.families.occlusion import Occlusion

    return Occlusion()


def builtin_families() -> dict[str, FamilyFactory]:
    """Return the factories of the built-in families."""
    return {
        "coarse": coarse,
        "attribute": attribute,
        "relational": relational,
        "scene_graph": scene_graph,
        "precise_offset": precise_offset,
        "occlusion": occlusion,
    }
