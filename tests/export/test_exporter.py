"""`vtbench export`: its output, its errors, and what an interrupted one leaves."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from export_fakes import FORMATS, contents, image_task, registry

from vtbench.cli import status
from vtbench_export import export
from vtbench_export.atomic_directory import atomic_directory
from vtbench_export.errors import ExportError


def call(*words):
    return status(["export", *map(str, words)], registry())


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_command_writes_the_same_bytes(tmp_path, capsys, format):
    for name in ("one", "two"):
        assert call("--tasks", "coarse,relational", "--format", format, "--output", tmp_path / name, "--limit", 5) == 0
    said = capsys.readouterr().out
    assert "coarse 5, relational 5" in said
    assert "samples/s" in said
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    assert not any(str(tmp_path).encode() in content for content in one.values())


def test_python_takes_a_list_or_a_string(tmp_path):
    one = export("coarse, relational", "webdataset", tmp_path / "one", limit=1, registry=registry())
    two = export(["coarse", "relational"], "webdataset", tmp_path / "two", limit=1, registry=registry())
    assert one.samples == two.samples == {"coarse": 1, "relational": 1}
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_json_is_one_document(tmp_path, capsys):
    target = tmp_path / "out"
    assert call("--tasks", "coarse", "--format", "parquet", "--output", target, "--limit", 5, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["samples"] == {"coarse": 5}
    assert document["bytes"] == sum(map(len, contents(target).values()))
    assert document["samples_per_second"] > 0


def test_split_seed_and_size_are_taken(tmp_path):
    flags = ("--split", "val", "--seed", 3, "--image-size", 64, "--limit", 1)
    assert call("--tasks", "coarse", "--format", "webdataset", "--output", tmp_path / "out", *flags) == 0
    (shard,) = [content for name, content in contents(tmp_path / "out").items() if name.endswith(".tar")]
    assert b'"id": "coarse/val/3/0"' in shard
    assert "64 px" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"--format": "parqet"}, "unknown format 'parqet'. Did you mean 'parquet'?"),
        ({"--tasks": "relatonal"}, "unknown task 'relatonal'. Did you mean 'relational'"),
        ({"--split": "tset"}, "split"),
        ({"--limit": "0"}, "--limit: must be above 0, not 0"),
        ({"--image-size": "5"}, "--image-size: must be 16 to 4096, not 5"),
    ],
)
def test_a_bad_argument_is_one_line_and_leaves_nothing(tmp_path, capsys, flags, said):
    words = {"--tasks": "coarse", "--format": "parquet", "--output": str(tmp_path / "out")} | flags
    assert call(*(word for pair in words.items() for word in pair)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert call("--tasks", "coarse", "--format", "parquet", "--output", tmp_path) == 2
    assert "not empty" in capsys.readouterr().err
    assert contents(tmp_path) == {"mine.txt": b"mine"}
    assert call("--tasks", "coarse", "--format", "parquet", "--output", tmp_path / "mine.txt") == 2
    assert "a file, not a directory" in capsys.readouterr().err


def test_an_empty_directory_is_accepted(tmp_path):
    assert call("--tasks", "coarse", "--format", "webdataset", "--output", tmp_path, "--limit", 1) == 0
    assert (tmp_path / "README.md").is_file()


@pytest.mark.parametrize("format", ["lm-eval", "lmms-eval", "parquet"])
def test_a_missing_pyarrow_names_the_extra(tmp_path, capsys, monkeypatch, format):
    for module in [name for name in sys.modules if name.partition(".")[0] in ("pyarrow", "vtbench_export")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert call("--tasks", "coarse", "--format", format, "--output", tmp_path / "out") == 2
    assert "[parquet]'" in capsys.readouterr().err


def test_an_unreadable_image_ends_the_export(tmp_path, capsys):
    task = image_task(tmp_path, [["red"], ["blue"]])
    (tmp_path / "blue.png").write_bytes(b"no image")
    assert call("--tasks", task, "--format", "parquet", "--output", tmp_path / "out") == 2
    assert "own.jsonl, row 2" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_a_second_export_to_the_same_directory_is_refused(tmp_path):
    with atomic_directory(tmp_path / "out") as directory:
        (directory / "first").touch()
        with pytest.raises(ExportError, match="another export is writing here"), atomic_directory(tmp_path / "out"):
            pass
    assert list(contents(tmp_path / "out")) == ["first"]


def test_an_interrupted_export_leaves_nothing(tmp_path):
    def interrupt(written: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(["coarse"], "parquet", tmp_path / "out", registry=registry(), on_start=lambda total: interrupt)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_export_leaves_nothing_that_looks_finished(tmp_path):
    program = "from vtbench_export import export; export(['coarse'], 'webdataset', 'out', limit=100_000)"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    partial = tmp_path / "out.partial"
    try:
        while not any(path.stat().st_size for path in partial.rglob("*.tar")):
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial"]
    assert call("--tasks", "coarse", "--format", "webdataset", "--output", tmp_path / "out", "--limit", 3) == 0
    assert call("--tasks", "coarse", "--format", "webdataset", "--output", tmp_path / "new", "--limit", 3) == 0
    assert not partial.exists()
    assert contents(tmp_path / "out") == contents(tmp_path / "new")
