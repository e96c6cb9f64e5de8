"""Every flag that a score can carry is explained, and the table says what those of its scores mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vtbench.config import RunConfig
from vtbench.console.tables import show_scores
from vtbench.registry import Registry
from vtbench.runs.results import RunResult

ROOT = Path(__file__).parent.parent
_SET = re.compile(
    r"""flags\s*(?:=|\+=)\s*\(\s*"(\w+)"|\*\w*flags,\s*"(\w+)"|missing(?:_scores)?\("(\w+)"|\("(\w+)",\)\s*[*]"""
    r"""|\.estimates\([^\n]*?"(\w+)"|flag = "(\w+)" if"""
)
"""Where the code names a flag."""


def flags_in_code() -> set[str]:
    sources = [path for folder in ("vtbench", "adapters", "plugins") for path in (ROOT / folder).rglob("*.py")]
    return {name for path in sources for found in _SET.findall(path.read_text("utf-8")) for name in found if name}


def test_every_flag_is_explained() -> None:
    named = flags_in_code()
    assert {"unconverged", "few_tokens", "subset", "told_gives_away", "one_scene", "no_slope"} <= named
    assert named - Registry().flags().keys() == set()


@pytest.mark.parametrize("meaning", ["use more images", ""])
def test_a_table_fits_80_columns_and_explains_its_flags(meaning: str, capsys: pytest.CaptureFixture[str]) -> None:
    score = {
        **{"value": 0.8, "stderr": 0.01, "interval": [0.78, 0.82], "n": 2000, "chance": 0.5, "metric": "accuracy"},
        **{"percent": True, "flags": ["few_images", "own"], "detail": {"majority": 0.5}},
    }
    names = ["acc", "cue_information", "rs"]
    document = {
        "scores": {"mine": {name: score | {"percent": name == "acc"} for name in names}},
        **{"configs": {"mine": {}}, "left_out": {"mine": {"cues": "the model shows no tokens"}}, "failed": {"mine": 0}},
    }
    result = RunResult(Path("results/x"), document, RunConfig(model="m", tasks=["mine"]))
    show_scores(result, stderr=False, meanings={"few_images": meaning} if meaning else {})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith(" acc") and "80.0 %*" in line and "78.0–82.0" in line for line in lines)
    shown = " ".join(" ".join(lines).split())
    assert f"* few_images acc, cue_information, rs: {meaning or 'see the details of the scores'}" in shown
    assert "left out cues: the model shows no tokens" in shown
