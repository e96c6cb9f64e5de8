"""Runs to report on, with every sort of chart, and with strings that want to be markup wherever one can stand.

In: a directory. Out: runs of a model that sees objects but not positions, so that it is right and wrong; the numbers
that a model's visual tokens would give are written into its results.json by hand.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vtbench

HOSTILE = """</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1"><!--'"\u2028"""
LAYERS = ("encoder", "connector", "decoder_50", "decoder_100")
MAP = [[round(math.exp(-abs(i // 8 - j // 8) - abs(i % 8 - j % 8)), 4) for j in range(64)] for i in range(64)]
"""Each of 64 tokens says most about its own patch."""


def run(output: Path, limit: int) -> Path:
    """Ask about `limit` images, and return the run's directory."""
    result = vtbench.run(
        model="bag_of_objects",
        tasks=["relational"],
        metrics=["accuracy", "rank_accuracy", "pair_accuracy"],
        limit=limit,
        output=str(output),
        report=False,
    )
    return result.path


def enriched(path: Path) -> Path:
    """Give the run the scores of visual tokens."""
    return _edited(path, lambda scores: scores.update(_token_scores()))


def hostile(path: Path) -> Path:
    """Let a model and a data file say dangerous things, and plugins use them as names."""
    lines = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    for line in lines[:6]:
        line |= {"output": HOSTILE, "prompt": HOSTILE, "target": HOSTILE, "kind": HOSTILE, "id": line["id"] + HOSTILE}
        line |= {"reasoning": HOSTILE, "rendered_prompt": HOSTILE * 2}
        line["scores"][HOSTILE] = {HOSTILE: line["index"]}
    lines[7]["error"] = HOSTILE
    (path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = json.loads((path / "run.json").read_text())
    facts["model"][HOSTILE] = facts["run_id"] = facts["config"]["model"] = HOSTILE
    (path / "run.json").write_text(json.dumps(facts))

    def spoil(scores: dict[str, Any]) -> None:
        layers = {
            f"{HOSTILE}_{layer}": _score(0.5, metric=HOSTILE, detail={"layer": layer}) for layer in (HOSTILE, "encoder")
        }
        curve = [{"policy": HOSTILE, HOSTILE: 0.5, "value": 0.5}, {"policy": "a", HOSTILE: 1.0, "value": 0.6}]
        scores |= _token_scores() | layers
        scores |= {
            "curve" + HOSTILE: _score(0.5, detail={"curve": curve}),
            "map" + HOSTILE: _score(1.0, detail={"map": MAP}),
            "cue" + HOSTILE: _score(1.0, metric=HOSTILE, detail={"retention": {HOSTILE: 0.4}}, flags=[HOSTILE]),
        }
        scores["acc"]["detail"].setdefault("by_kind", {})[HOSTILE] = {"acc": 0.5, "n": 3}

    return _edited(path, spoil)


def _edited(path: Path, edit: Callable[[dict[str, Any]], Any]) -> Path:
    document = json.loads((path / "results.json").read_text())
    edit(document["scores"]["relational"])
    (path / "results.json").write_text(json.dumps(document))
    return path


def _score(value: float, **fields: Any) -> dict[str, Any]:
    score = {"metric": "made", "value": value, "stderr": 0.05, "interval": [value - 0.1, value + 0.1], "n": 300}
    return score | {"chance": None, "flags": [], "detail": {}, "percent": False} | fields


def _token_scores() -> dict[str, Any]:
    def point(policy: str, fraction: float) -> dict[str, Any]:
        value = 0.4 + 0.45 * fraction ** (0.3 if policy == "grid" else 0.5)
        ends = {"low": value - 0.05, "high": value + 0.05}
        return {"policy": policy, "fraction": fraction, "value": value, **ends, "n": 300}

    inner = [point(policy, part) for policy in ("random", "grid") for part in (0.05, 0.1, 0.25, 0.5)]
    curve = [point("any", 0.0), *inner, point("any", 1.0)]
    layers = {
        f"rs_{layer}": _score(0.5 - 0.05 * i, metric="redundancy_layers", detail={"layer": layer})
        for i, layer in enumerate(LAYERS)
    }
    cues = {
        f"kept_{cue}": _score(0.8, metric="cues", detail={"retention": {s: 0.2 * i for i, s in enumerate(LAYERS)}})
        for cue in ("shape", "colour")
    }
    maps = {"carriers": _score(4.0, metric="carriers", detail={"map": MAP})}
    return layers | maps | {"drop_area": _score(0.6, metric="drop_curve", detail={"curve": curve})} | cues
