"""Settings of the metric factories: today's defaults, checked values, and a protocol that is named after them."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

import vtbench_redundancy
from vtbench.errors import VtbenchError
from vtbench_redundancy.protocol import PROTOCOLS, SETTINGS, Protocol, custom_protocol, named_protocol

NAMES = ("redundancy", "redundancy_layers", "carriers", "token_use")


@pytest.mark.parametrize("name", NAMES)
def test_factories_take_settings_of_the_protocol_with_its_defaults(name: str) -> None:
    factory = vtbench_redundancy.vtbench_metrics()[name]
    parameters = inspect.signature(factory).parameters.values()
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
    assert {p.name: p.default for p in parameters} == {**dict.fromkeys(SETTINGS), "protocol": "rs-v2"}
    assert factory().protocol == Protocol()
    assert factory(m=16, seed=1).protocol == replace(Protocol(), m=16, seed=1, name="rs-v2 m=16")
    assert factory(protocol="rs-v1").protocol == PROTOCOLS["rs-v1"]
    assert factory(protocol="rs-v1", m=16).protocol == replace(PROTOCOLS["rs-v1"], m=16, cells=16, name="rs-v1 m=16")


@pytest.mark.parametrize(
    "settings",
    [
        {"m": 16, "floor": 0.05},
        {"protocol": "rs-v1", "r": 4},
        {"basis": "pca"},
        {"target": "cues"},
        {"target": "a.npy"},
        {"target": "a.npz:layers/4/x.y"},
        {},
    ],
)
def test_the_name_of_a_protocol_says_all_of_it(settings: dict) -> None:
    protocol = custom_protocol({**settings, "seed": 3})
    assert named_protocol(protocol.name, seed=3) == protocol


def test_arrays_of_one_file_are_targets_of_two_names() -> None:
    """Scores compare where protocols have one name, so the part before a slash of an array's name must stand in it."""
    names = [custom_protocol({"target": f"features/{where}"}).name for where in ("f.npz:a/x", "f.npz:b/x", "g.npz:a/x")]
    assert names == [f"rs-v2 target={name}" for name in ("f.npz:a/x", "f.npz:b/x", "g.npz:a/x")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": 3}, "metric redundancy: target must be pixels, cues or a file"),
        ({"m": 1}, "metric redundancy: m must be a whole number of at least 2, not 1"),
        ({"r": 2.5}, "metric redundancy: r must be a whole number of at least 1, not 2.5"),
        ({"permutations": True}, "metric redundancy: permutations must be a whole number"),
        ({"floor": 0}, "metric redundancy: floor must lie above 0 and at most at 1, not 0"),
        ({"protocol": "rs-v3"}, "metric redundancy: protocol must be rs-v2 or rs-v1, not 'rs-v3'"),
        ({"floor": "low"}, "metric redundancy: floor must lie above 0"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict, message: str) -> None:
    with pytest.raises(VtbenchError, match=message):
        vtbench_redundancy.vtbench_metrics()["redundancy"](**settings)


def test_carriers_are_of_pixels() -> None:
    with pytest.raises(VtbenchError, match="metric carriers: target must be pixels, whose patches it maps, not 'cues'"):
        vtbench_redundancy.vtbench_metrics()["carriers"](target="cues")
