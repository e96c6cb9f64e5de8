"""Visual tokens from a local checkpoint beside the endpoint, and use inside a running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint_fakes import FakeEndpoint
from openai_runs import samples

from vtbench.errors import AdapterError
from vtbench.registry import Registry
from vtbench_llava import WEIGHTS

torch = pytest.importorskip("torch")

Make = Callable[..., Any]


@pytest.mark.parametrize("checkpoint", ["embedded", str(WEIGHTS)])
def test_the_probe_gives_the_tokens_of_its_own_adapter(make: Make, checkpoint: str) -> None:
    adapter, llava = make(probe=checkpoint, device="cpu"), Registry().adapter("llava", {}, "cpu")
    assert "visual_tokens" in adapter.capabilities
    assert adapter.layers == ("connector", "encoder")
    assert adapter.image_size == llava.image_size
    for mine, its in zip(
        adapter.visual_tokens(samples(3), adapter.layers), llava.visual_tokens(samples(3), adapter.layers), strict=True
    ):
        assert torch.equal(mine.tokens, its.tokens)
    assert adapter.describe()["probe"]["fingerprint"] == llava.describe()["fingerprint"]
    with pytest.raises(AdapterError, match="no layer 'decoder_50'"):
        adapter.visual_tokens(samples(1), ["decoder_50"])
    llava.close()


def test_without_a_probe_there_are_no_visual_tokens(make: Make) -> None:
    adapter = make(image_size=96)
    assert (adapter.layers, adapter.image_size) == ((), 96)
    with pytest.raises(AdapterError, match="probe=<checkpoint>"):
        adapter.visual_tokens(samples(1), ["connector"])


def test_a_broken_probe_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"has no config\.json"):
        make(probe=str(tmp_path))


def test_it_works_inside_a_running_event_loop(make: Make, endpoint: FakeEndpoint) -> None:
    """As in a notebook."""

    async def cell() -> str:
        return make().generate(samples(1), 5)[0].text

    assert asyncio.run(cell()) in ("yes", "no")
