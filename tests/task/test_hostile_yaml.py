"""A task file from a stranger: one line that names the place, in bounded time and memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from vtbench.errors import TaskError, VtbenchError
from vtbench.task.catalog import summary
from vtbench.task.loading import load_task
from vtbench.task.yaml_lines import MOST_BYTES, load_yaml

COARSE = (Path(__file__).parents[2] / "tasks/coarse.yaml").read_text()


def laughs(start: str = "[", end: str = "]", levels: int = 12) -> str:
    """An alias bomb of ten to the power of `levels` values."""
    lines = [f"a0: &a0 {start}x{end}"]
    lines += [f"a{i}: &a{i} {start}{', '.join([f'*a{i - 1}'] * 10)}{end}" for i in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "aliases": (laughs(), "more than 200,000 values"),
    "merges": (laughs("\n  <<: [", "]").replace("<<: [x]", "x: 1"), "more than 200,000 values"),
    "itself": ("a: &a [*a]", "stands for nothing, or for itself"),
    "chain": ("a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 300)), "levels deep"),
    "flow": ("a: " + "[" * 100_000, "levels deep"),
    "maps": ("a: " + "{b: " * 100_000, "levels deep"),
    "block": ("\n".join(" " * i + "a:" for i in range(500)), "levels deep"),
    "keys": ("? " * 50_000, "levels deep"),
    "control": ("task: a\ndescription: x\x07y", "line 2: not valid YAML: the character U+0007"),
    "zero": ("task: a\0b", "U+0000"),
    "escape": ("task: x\x1b[31m", "U+001B"),
    "digits": ("seed: 1" + "0" * 400, "a number of 401 characters"),
    "digits too many for Python": ("seed: " + "9" * 5000, "a number of 5,000 characters"),
    "hexadecimal": ("task: bad\nseed: 0x1f", "seed"),
    "sexagesimal": ("task: bad\nseed: 1:30", "seed"),
    "infinite": ("task: bad\nscene: {gap: .inf}", "scene.gap"),
    "not a number": ("task: bad\nscene: {gap: .nan}", "scene.gap"),
    "infinite seed": ("task: bad\nseed: .inf", "seed"),
    "no such day": ("task: bad\ndescription: 2024-99-99\nseed: x", "seed"),
    "tagged day": ("description: !!timestamp x", "not valid YAML"),
    "tagged number": ("seed: !!int x", "not valid YAML"),
    "tagged object": ("seed: !!python/object/apply:os.system [x]", "not valid YAML"),
    "binary": ("task: bad\nseed: !!binary '*'", "seed"),
    "repeated": ("seed: 1\nseed: 2", "line 2: the key 'seed' occurs twice"),
    "repeated inside": ("scene:\n  gap: 0.1\n  gap: 0.2", "line 3: the key 'gap' occurs twice"),
    "repeated in a list": ("a:\n- b: 1\n  'b': 2", "line 3: the key 'b' occurs twice"),
    "number as a key": ("1: x", "line 1: the key '1' is no text"),
    "null as a key": ("~: x", "is no text"),
    "yes as a key": ("yes: x", "the key 'yes' is no text"),
    "list as a key": ("? [a]\n: b", "not valid YAML"),
    "number as a colour": ("task: bad\nscene: {colours: {1: [1, 2, 3]}}", "scene.colours"),
    "two documents": ("task: a\n---\ntask: b", "not valid YAML"),
    "nothing": ("", "holds nothing"),
    "comment": ("# nothing", "holds nothing"),
    "list": ("[a, b]", "holds list"),
    "text": ("hello", "holds str"),
    "items without end": ("task: bad\nfamily: coarse\nitems: 999999999999999999", "items"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_one_line_says_where(tmp_path: Path, name: str) -> None:
    text, message = HOSTILE[name]
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(TaskError) as refused:
        load_task(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert isinstance(summary(path)["groups"], list)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"task: \xe9", b"a" * (MOST_BYTES + 1), b"PK\x03\x04\0\0"])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(TaskError, match=r"bad\.yaml"):
        load_yaml(path, TaskError)


def test_a_device_without_end_and_a_directory(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path, tmp_path / "none"):
        with pytest.raises(TaskError, match="cannot be read"):
            load_yaml(path, TaskError)


def test_what_is_unusual_and_right(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (
        b"task: mine\nbase: &base {gap: 0.03, rotation: 010}\nscene:\n  <<: *base\n  gap: 0.05\n"
        b"description: 2024-01-01\nseed: 1_000\n"
    ))  # fmt: skip
    data, _ = load_yaml(path)
    assert data["scene"] == {"gap": 0.05, "rotation": "010"}
    assert (data["description"], data["seed"]) == ("2024-01-01", 1000)
    path.write_text(COARSE.replace("task: coarse", "task: mine") + "\nseed: 010\n")
    assert load_task(path).config()["seed"] == 10  # decimal, as everyone but YAML 1.1 reads it


def test_the_loader_reads_plain_files_as_pyyaml_does() -> None:
    for path in (Path(__file__).parents[2] / "tasks").glob("*.yaml"):
        assert load_yaml(path)[0] == yaml.safe_load(path.read_text())


def write_mix(directory: Path, name: str, parts: list[str], file: str | None = None) -> Path:
    path = directory / f"{file or name}.yaml"
    path.write_text(f"task: {name}\nmix: {parts}\nitems: 4\n")
    return path


def test_tasks_that_mix_each_other(tmp_path: Path) -> None:
    write_mix(tmp_path, "a", ["b", "coarse"])
    write_mix(tmp_path, "b", ["c"])
    write_mix(tmp_path, "c", ["a"])
    write_mix(tmp_path, "other", ["own"], file="own")
    for name in ("a", "b", "c", "own"):
        with pytest.raises(TaskError, match="cannot contain itself"):
            load_task(tmp_path / f"{name}.yaml")


def test_mixes_that_multiply(tmp_path: Path) -> None:
    for level in range(12):
        write_mix(tmp_path, f"m{level}", [f"m{level + 1}"] * 10)
    write_mix(tmp_path, "m12", ["coarse"])
    with pytest.raises(TaskError, match="more than 200 tasks"):
        load_task(tmp_path / "m0.yaml")
    assert len(load_task(write_mix(tmp_path, "fine", ["m12", "coarse", "m12"]))) == 4


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(VtbenchError, match="no regular file"):
        load_yaml(tmp_path / "pipe.yaml")
