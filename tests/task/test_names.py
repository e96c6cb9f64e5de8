"""One rule for names: whatever keeps it stays inside the directory that it is given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtbench.errors import VtbenchError
from vtbench.task.names import check_name

GOOD = ["a", "mmmu_val", "seed-bench.v2", "größe", "任务", "x+y", "a b", "COM", "console", "null", "v1.0", "x=1", "a,b"]
BAD = [
    "", " ", ".", "..", "../../x", "/abs", "a/b", "a\\b", "C:x", "a\0b", "a\nb", "a\x1b[31m", "a\u202eb", "\ud800",
    ".hidden", "-flag", "~home", " a", "a ", "a.", "CON", "nul", "com1.txt", "LPT9", "a" * 101, "语" * 12, "a*", 'a"',
    "a|b", "<a>", "why?", None, 3, ["a"], b"a",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_plain_name_passes(name: str) -> None:
    assert check_name(name, "task") == name


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_no_path_can_have_is_refused_on_one_short_line(name: object) -> None:
    with pytest.raises(VtbenchError, match=r"^task .*a name ") as refused:
        check_name(name, "task")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


@given(st.one_of(st.text(max_size=120), st.text(alphabet="./\\-~ aC:\0*", max_size=12)))
def test_what_passes_is_one_part_of_a_path_below_its_directory(name: str) -> None:
    try:
        check_name(name, "task")
    except VtbenchError:
        return
    home = Path("/home/of/it")
    assert Path(os.path.normpath(home / name)).parent == home
    assert len(name.encode()) <= 100
    assert name.isprintable()
