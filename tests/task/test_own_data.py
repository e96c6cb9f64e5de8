"""A user's own data: files as tools write them, rows that fail alone, ids, and the digest of the samples' sources."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vtbench.errors import SampleError, TaskError
from vtbench.task.checking import row_problems
from vtbench.task.loading import load_task
from vtbench.task.own_data import DataTask
from vtbench.types import Sample


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path


def yaml(folder: Path, data: str = "rows.jsonl", columns: str = "", **top: object) -> DataTask:
    keys = "".join(f"{key}: {value}\n" for key, value in top.items())
    (folder / "mine.yaml").write_text(f"task: mine\n{keys}data: {{path: {data}{columns and ', ' + columns}}}\n")
    task = load_task(folder / "mine.yaml")
    assert isinstance(task, DataTask)
    return task


def jsonl(
    folder: Path, rows: Sequence[Mapping[str, Any] | str], columns: str = "", encoding: str = "utf-8"
) -> DataTask:
    whole = {"image": "red.png", "prompt": "Which colour?", "target": "red"}
    lines = [row if isinstance(row, str) else json.dumps({**whole, **row}, ensure_ascii=False) for row in rows]
    (folder / "rows.jsonl").write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return yaml(folder, columns=columns)


def parquet(folder: Path, columns: Mapping[str, Any], named: str = "", **settings: Any) -> DataTask:
    length = len(next(iter(columns.values())))
    whole = {"image": ["red.png"] * length, "prompt": ["Which colour?"] * length, "target": ["red"] * length}
    pq.write_table(pa.table({**whole, **columns}), folder / "rows.parquet", **settings)
    return yaml(folder, "rows.parquet", named)


def samples(task: DataTask) -> list[Sample | str]:
    """Return all samples of a task, and the line of each that fails."""
    return [outcome(task, index) for index in range(len(task))]


def outcome(task: DataTask, index: int) -> Sample | str:
    try:
        return task.sample(index)
    except SampleError as error:
        return str(error)


def facts(task: DataTask, *names: str) -> list[Any]:
    found = [s if isinstance(s, str) else tuple(getattr(s, name) for name in names) for s in samples(task)]
    return [f[0] if isinstance(f, tuple) and len(names) == 1 else f for f in found]


# Files as tools write them


def test_a_byte_order_mark_is_no_part_of_the_first_row(folder: Path) -> None:
    assert facts(jsonl(folder, [{}, {}], encoding="utf-8-sig"), "target") == ["red", "red"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_row_ends_at_a_newline_only(folder: Path, character: str) -> None:
    if character < " ":
        row: Any = {"prompt": f"a{character}b"}  # JSON escapes it
    else:
        row = {"prompt": f"a{character}b"}
    task = jsonl(folder, [row, {}])
    assert len(task) == 2
    assert task.sample(0).prompt == f"a{character}b"


def test_lines_of_windows_and_empty_lines(folder: Path) -> None:
    task = jsonl(folder, [{}])
    row = (folder / "rows.jsonl").read_bytes().strip()
    (folder / "rows.jsonl").write_bytes(row + b"\r\n\r\n \n" + row)
    assert len(yaml(folder)) == len(task) * 2


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ('{"prompt": "été"}'.encode("latin-1"), r"line 1: not UTF-8 \(byte 0xe9\)"),
        (b'{"prompt": "a"}\n{"prompt": "\xff"}', "line 2: not UTF-8"),
        ("{}".encode("utf-16"), "UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "UTF-16"),
        ('{"a": 1}'.encode("utf-32"), "UTF-16 or UTF-32"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<html>404</html>", "a web page"),
        (b"", "no rows"),
        (b"\n \n", "no rows"),
        (b"[1]", "line 1: must be an object with keys, but is list"),
        (b"null", "line 1: must be an object"),
        (b'{"a": 1, "a": 2}', "line 1: the key 'a' occurs twice"),
        (b'{"a": {"b": 1, "b": 2}}', "the key 'b' occurs twice"),
        (b'{}\n{"a": ' + b"[" * 100_000, "line 2: its JSON is nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 1: cannot be read: Exceeds the limit"),
        (b'{"a": 1}' + bytes(100), "zero bytes"),
        (b'{"a": 1} {"b": 2}', "line 1: not valid JSON: Extra data"),
    ],
)
def test_a_broken_jsonl_is_one_line(folder: Path, content: bytes, wanted: str) -> None:
    (folder / "rows.jsonl").write_bytes(content)
    with pytest.raises(TaskError, match=wanted) as caught:
        yaml(folder)
    assert "\n" not in str(caught.value)
    assert "rows.jsonl" in str(caught.value)
    assert len(str(caught.value)) < 400


def whole_parquet(folder: Path) -> bytes:
    parquet(folder, {"target": ["red"] * 50})
    return (folder / "rows.parquet").read_bytes()


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda b: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (lambda b: b[: len(b) // 2], "not a Parquet file"),
        (lambda b: b[: len(b) // 2] + bytes(len(b) - len(b) // 2), "not a Parquet file"),
        (lambda b: b"PAR1", "not a Parquet file"),
        (lambda b: b"PAR1" + bytes(50) + b"PAR1", "not a Parquet file"),
        (lambda b: b'{"a": 1}\n', "not a Parquet file"),
        (lambda b: b"", "no rows"),
    ],
)
def test_a_broken_parquet_is_one_line(folder: Path, change: Any, wanted: str) -> None:
    content = change(whole_parquet(folder))
    (folder / "rows.parquet").write_bytes(content)
    with pytest.raises(TaskError, match=wanted) as caught:
        yaml(folder, "rows.parquet")
    assert "rows.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 2**31))
def test_a_parquet_with_changed_bytes_fails_in_one_line_or_by_rows(tmp_path_factory: Any, seed: int) -> None:
    folder = tmp_path_factory.mktemp("p")
    Image.new("RGB", (8, 8)).save(folder / "red.png")
    content, draw = bytearray(whole_parquet(folder)), np.random.default_rng(seed)
    for place in draw.integers(4, len(content), 4):
        content[place] = draw.integers(256)
    (folder / "rows.parquet").write_bytes(content)
    assert "\n" not in opened(folder)
    shutil.rmtree(folder)


def opened(folder: Path) -> str:
    try:
        return " ".join(
            s if isinstance(s, str) else s.target.replace("\n", " ") for s in samples(yaml(folder, "rows.parquet"))
        )
    except TaskError as error:
        return str(error)


def test_what_is_no_file_is_refused_unread(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "folder.parquet").mkdir()
    for name, wanted in (
        ("pipe.jsonl", "is a pipe"),
        ("folder.parquet", "is a directory"),
        ("gone.jsonl", "No such file"),
    ):
        with pytest.raises(TaskError, match=wanted):
            yaml(folder, name)


def test_a_column_that_no_row_has_is_refused(folder: Path) -> None:
    jsonl(folder, [{"options": ["red"]}])
    with pytest.raises(TaskError, match=r"no row has a column 'optoins'; there are .*options\. Did you mean 'options'"):
        yaml(folder, columns="choices: optoins")


# Parquet


def test_rows_of_parquet_in_any_order(folder: Path) -> None:
    targets = [f"t{i}" for i in range(200)]
    task = parquet(folder, {"target": targets}, row_group_size=70)
    order = [*range(0, 200, 7), 199, 0, 69, 70, 71, 3, 2, 1, 139, 140, 60]
    assert [task.sample(index).target for index in order] == [targets[index] for index in order]


def test_of_a_parquet_with_a_broken_page_the_rows_before_it_are_read(folder: Path) -> None:
    targets = [f"t{i}" for i in range(400)]
    settings = {
        "write_batch_size": 50,
        "data_page_size": 1,
        "compression": "NONE",
        "use_dictionary": ["image", "prompt"],
    }
    parquet(folder, {"target": targets}, row_group_size=200, **settings)
    content = (folder / "rows.parquet").read_bytes()
    place = content.index(b"t120")
    header = content.rindex(b"t99", 0, place) + 3  # the header of the page from row 100
    (folder / "rows.parquet").write_bytes(content[:header] + b"\xff" * 12 + content[header + 12 :])
    task = yaml(folder, "rows.parquet")
    found = samples(task)
    read = [index for index, sample in enumerate(found) if isinstance(sample, Sample)]
    assert set(range(80)) | set(range(200, 400)) <= set(read)
    assert 100 not in read
    assert all(found[index].target == targets[index] for index in read)  # type: ignore[union-attr]
    assert "row 151: the file is broken here" in str(found[150])
    assert isinstance(task.sample(5), Sample)
    task = yaml(folder, "rows.parquet")
    assert [getattr(outcome(task, index), "target", "") for index in (60, 5, 150, 3)] == ["t60", "t5", "", "t3"]


def test_a_cell_that_python_cannot_hold_fails_its_row(folder: Path) -> None:
    far = pa.array([0, 2**60], pa.timestamp("ms"))
    good, bad = samples(parquet(folder, {"target": far}))
    assert isinstance(good, Sample)
    assert "row 2: 'target' cannot be read" in str(bad)


def test_of_a_large_parquet_a_few_rows_are_read(folder: Path) -> None:
    """4 rows of 200 take less memory than the file has bytes; other columns are not read at all."""
    blob = np.random.default_rng(0).bytes(1 << 20)
    images = [{"bytes": (folder / "red.png").read_bytes() + blob, "path": None} for _ in range(200)]
    task = parquet(
        folder,
        {"image": images, "other": [blob] * 200},
        compression="NONE",
        use_dictionary=False,
        write_batch_size=8,  # rows of a page, the least that can be read
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pool = pa.total_allocated_bytes()
    for index in range(4):
        assert task.sample(index).images[0].size == (8, 8)
    assert pa.total_allocated_bytes() - pool < 100 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10


@pytest.mark.parametrize(
    ("values", "kind", "wanted"),
    [
        ([3.0, 12.0], pa.float64(), ["3", "12"]),
        ([3.0, 2.5], pa.float64(), ["3", "2.5"]),
        ([0.1, 2.0], pa.float32(), ["0.1", "2"]),
        ([1, 2], pa.int8(), ["1", "2"]),
        (["a", "b"], pa.dictionary(pa.int32(), pa.string()), ["a", "b"]),
        (["a", "b"], pa.large_string(), ["a", "b"]),
        ([b"a", b"b"], pa.binary(), ["a", "b"]),
        ([0, 86_400_000_000_000], pa.timestamp("ns"), ["1970-01-01", "1970-01-02"]),
        ([0, 1], pa.date32(), ["1970-01-01", "1970-01-02"]),
    ],
)
def test_typed_columns(folder: Path, values: list[Any], kind: Any, wanted: list[str]) -> None:
    assert facts(parquet(folder, {"target": pa.array(values, kind)}), "target") == wanted


def test_missing_targets_fail_and_lists_are_references(folder: Path) -> None:
    task = parquet(folder, {"target": pa.array([1.0, None, float("nan")])})
    assert facts(task, "target") == [
        "1",
        *(f"{folder / 'rows.parquet'}, row {row}: 'target' is missing" for row in (2, 3)),
    ]
    task = parquet(folder, {"target": pa.array([["cup", "mug"], [], None])})
    first, *failed = facts(task, "target", "references")
    assert first == ("cup", ("mug",))
    assert "row 2: 'target' has an empty list" in failed[0]
    assert "row 3: 'target' is missing" in failed[1]
    task = parquet(folder, {"target": pa.array([[0.1, 3.0]], pa.list_(pa.float32()))})
    assert facts(task, "target", "references") == [("0.1", ("3",))]


def test_choices_of_parquet(folder: Path) -> None:
    struct = pa.array([{"A": "red", "B": "blue", "C": None}, {"A": "red", "B": None, "C": "green"}])
    task = parquet(folder, {"o": struct, "target": ["B", "C"]}, "choices: o")
    assert facts(task, "target", "choices") == [("blue", ("red", "blue")), ("green", ("red", "green"))]
    mapped = pa.array([[("A", "red"), ("B", "blue")]], pa.map_(pa.string(), pa.string()))
    task = parquet(folder, {"o": mapped, "target": ["B"]}, "choices: o")
    assert facts(task, "target", "choices") == [("blue", ("red", "blue"))]
    columns = {"A": ["red", "red"], "B": ["blue", None], "C": [None, "green"], "target": ["B", "green"]}
    task = parquet(folder, columns, "choices: [A, B, C]")
    assert facts(task, "target", "choices") == [("blue", ("red", "blue")), ("green", ("red", "green"))]


def test_images_of_parquet(folder: Path) -> None:
    content = (folder / "red.png").read_bytes()
    for image in (
        [content],
        ["red.png"],
        [[content, content]],
        [{"bytes": content, "path": "gone.png"}],
        [{"bytes": None, "path": "red.png"}],
        [[{"bytes": content, "path": None}]],
    ):
        (sample,) = samples(parquet(folder, {"image": image}))
        assert isinstance(sample, Sample), sample
        assert sample.images[0].getpixel((0, 0)) == (255, 0, 0)
        assert sample.meta["image_modes"] == ["RGB"] * len(sample.images)


# Rows that fail alone


def test_one_bad_row_fails_alone_with_row_and_column(folder: Path) -> None:
    rows: list[dict[str, Any] | str] = [
        {},
        {"target": None},
        {"target": ""},
        {"target": {"answer": "red"}},
        {"prompt": ["a"]},
        {"prompt": " "},
        {"image": []},
        {"image": None},
        {"image": ["red.png", None]},
        {"image": 7},
        {"image": "gone.png"},
        '{"image": "red.png", "prompt": "a", "target": NaN}',
        '{"image": "red.png", "prompt": "a", "target": Infinity}',
        '{"image": "red.png", "target": "a"}',
        {"kind": {"a": 1}},
        {"prompt": "Compare <image> with <image>."},
        {"prompt": "<image><image> Compare."},
    ]
    wanted = [
        "'target' is missing",
        "'target' is missing",
        "'target' has an object where a text belongs",
        "'prompt' has a list of 1",
        "'prompt' is missing",
        "'image' has no image",
        "'image' has no image",
        "'image' lacks one of its images",
        "an image is a path, bytes",
        "cannot read the image gone.png: No such file",
        "'target' is missing",
        "'target' has an infinite number",
        "no 'prompt'; it has image, target",
        "'kind' has an object",
        "'prompt' has <image> amid its words",
        "'prompt' has 2 <image> for 1 image",
    ]
    good, *failed = samples(jsonl(folder, rows, "kind: kind"))
    assert isinstance(good, Sample)
    for row, (line, reason) in enumerate(zip(failed, wanted, strict=True), 2):
        assert isinstance(line, str)
        assert f"rows.jsonl, row {row}: {reason}" in line or f"row {row}: cannot read an image: {reason}" in line
        assert "\n" not in line


def test_texts_and_ids_with_half_a_character_are_escaped(folder: Path) -> None:
    line = '{"image": "red.png", "prompt": "\\ud83d hi", "target": "\\ude00", "id": "\\ud83d"}'
    (sample,) = samples(jsonl(folder, [line], "id: id"))
    assert isinstance(sample, Sample)
    assert (sample.prompt, sample.target, sample.id) == ("\\ud83d hi", "\\ude00", "mine/\\ud83d")
    (whole,) = samples(jsonl(folder, ['{"image": "red.png", "prompt": "\\ud83d\\ude00", "target": "a"}']))
    assert isinstance(whole, Sample)
    assert whole.prompt == "\U0001f600"


def test_a_leading_image_placeholder_is_taken_out(folder: Path) -> None:
    rows = [{"prompt": "<image>\nWhich colour?"}, {"prompt": "<image><image> Same?", "image": ["red.png"] * 2}]
    assert facts(jsonl(folder, rows), "prompt") == ["Which colour?", "Same?"]


def test_missing_clusters_and_kinds_are_empty(folder: Path) -> None:
    rows = [{"c": value, "k": value} for value in (None, "", "s1", 3.0)] + [{}]
    wanted = ["", "", "s1", "3", ""]
    task = jsonl(
        folder, [*rows, '{"image": "red.png", "prompt": "a", "target": "a", "c": NaN, "k": NaN}'], "cluster: c, kind: k"
    )
    assert facts(task, "cluster", "kind") == [(text, text) for text in [*wanted, ""]]


def test_positions_of_targets_are_declared(folder: Path) -> None:
    rows = [{"o": ["cup", "plate"], "target": 1}]
    (line,) = samples(jsonl(folder, rows, "choices: o"))
    assert "row 1: 'target' '1' is none of the choices ['cup', 'plate']" in line
    assert "target_as: index" in line
    assert facts(jsonl(folder, rows, "choices: o, target_as: index"), "target") == ["plate"]
    assert facts(jsonl(folder, rows, "choices: o, target_as: number"), "target") == ["cup"]
    (line,) = samples(jsonl(folder, rows, "choices: o, target_as: letter"))
    assert "no position" in line


# Ids


def test_ids_are_unique_and_the_same_every_time(folder: Path) -> None:
    rows = [{"q": q} for q in ("a", "b", "a", None, "a#2", "a", 3, "3", 7.0)]
    task = jsonl(folder, rows, "id: q")
    ids = facts(task, "id")
    assert ids[:3] == ["mine/a", "mine/b", "mine/a#3"]
    assert ids[4] == "mine/a#2", "a row keeps the name that it has"
    assert len(set(ids)) == len(rows)
    again = load_task(folder / "mine.yaml")
    assert [again.sample(i).id for i in reversed(range(len(rows)))] == ids[::-1]


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "a#2", "a#3", "1", "2"]), st.integers(0, 5)), min_size=1))
def test_no_two_ids_are_the_same(tmp_path_factory: Any, names: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("ids")
    task = jsonl(folder, [{"q": name} for name in names], "id: q")
    assert len({task._id(index) for index in range(len(names))}) == len(names)
    shutil.rmtree(folder)


def test_a_failed_sample_keeps_its_id(folder: Path) -> None:
    task = jsonl(folder, [{"q": "1"}, {"q": "b", "target": None}], "id: q")
    with pytest.raises(SampleError) as caught:
        task.sample(1)
    assert caught.value.sample_id == "mine/b"


# The digest


def test_changed_images_change_the_config_and_copies_do_not(folder: Path) -> None:
    Image.new("RGB", (8, 8), "blue").save(folder / "b.png")
    jsonl(folder, [{}, {"image": ["red.png", "b.png"]}, {"image": "gone.png"}])
    before = load_task(folder / "mine.yaml").config()
    assert before["image_files"].startswith("3 files, contents ")
    os.utime(folder / "b.png", (1, 1))
    assert load_task(folder / "mine.yaml").config() == before
    copy = folder.parent / f"{folder.name}-copy"
    shutil.copytree(folder, copy)
    assert load_task(copy / "mine.yaml").config() == before
    Image.new("RGB", (8, 8), "lime").save(folder / "b.png")
    changed = load_task(folder / "mine.yaml").config()
    assert changed["image_files"] != before["image_files"]
    Image.new("RGB", (8, 8), "lime").save(folder / "gone.png")
    assert load_task(folder / "mine.yaml").config()["image_files"] != changed["image_files"]


def test_many_images_are_told_apart_by_sizes_and_times(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtbench.task.files.CONTENT_FILES", 1)
    Image.new("RGB", (8, 8), "blue").save(folder / "b.png")
    jsonl(folder, [{}, {"image": "b.png"}])
    before = load_task(folder / "mine.yaml").config()
    assert "sizes and times" in before["image_files"]
    os.utime(folder / "b.png", (1, 1))
    assert load_task(folder / "mine.yaml").config() != before


def test_paths_in_parquet_count_and_bytes_do_not(folder: Path) -> None:
    content = (folder / "red.png").read_bytes()
    for image in (["red.png"], [{"bytes": None, "path": "red.png"}], [[{"bytes": None, "path": "red.png"}]]):
        assert parquet(folder, {"image": image}).config()["image_files"].startswith("1 files")
    for image in ([content], [{"bytes": content, "path": "red.png"}]):
        assert "image_files" not in parquet(folder, {"image": image}).config()


# What validate looks at, and mixes


def test_rows_are_checked_without_opening_images(folder: Path) -> None:
    rows = [
        {"o": ["Red", "blue"]},
        {"o": ["blue", "green"]},
        {"o": ["red"], "image": "gone.png"},
        {"o": ["red"], "target": None},
        {"o": ["cup", "plate"], "target": 1},
    ]
    found = row_problems(jsonl(folder, rows, "choices: o"))
    for line, (row, reason) in zip(
        found,
        [(2, "none of the choices"), (3, "gone.png: No such file"), (4, "'target' is missing"), (5, "target_as")],
        strict=True,
    ):
        assert f"rows.jsonl, row {row}: " in line
        assert reason in line


def test_own_data_in_a_mix_ends_with_its_rows(folder: Path) -> None:
    jsonl(folder, [{"target": "r0"}, {"target": "r1"}])
    (folder / "more.jsonl").write_bytes((folder / "rows.jsonl").read_bytes().replace(b"r0", b"s0") * 2)
    (folder / "more.yaml").write_text("task: more\ndata: {path: more.jsonl}\n")
    (folder / "both.yaml").write_text("task: both\nmix: [mine, more]\nsplit: probe\nseed: 4\n")
    task = load_task(folder / "both.yaml")
    made = [task.sample(i) for i in range(len(task))]
    assert [s.target for s in made] == ["r0", "s0", "r1", "r1", "s0", "r1"]
    assert len({s.id for s in made}) == 6
    (folder / "with.yaml").write_text("task: with\nmix: [coarse, mine]\nitems: 7\n")
    task = load_task(folder / "with.yaml")
    ids = [task.sample(i, 32).id for i in range(len(task))]
    assert [i.split("/")[2] for i in ids] == ["coarse", "mine", "coarse", "mine", "coarse", "coarse", "coarse"]
    assert [i.rsplit("/", 1)[1] for i in ids if "coarse" in i] == ["0", "1", "2", "3", "4"]


def test_mixes_that_contain_each_other_are_refused(folder: Path) -> None:
    (folder / "a.yaml").write_text("task: a\nmix: [b, coarse]\n")
    (folder / "b.yaml").write_text("task: b\nmix: [a, coarse]\n")
    with pytest.raises(TaskError, match="a task cannot contain itself: 'a' mixes 'b'"):
        load_task(folder / "a.yaml")


def test_a_caption_is_a_fact_of_the_sample_and_its_column_of_the_digest(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    rows = [
        {"image": "a.png", "prompt": "What?", "target": "x", "told": " It is x. "},
        {"image": "a.png", "prompt": "What?", "target": "x"},
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = {}
    for name, more in {"bare": "", "told": ", caption: told"}.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"task: {name}\ndata: {{path: own.jsonl{more}}}\n")
        tasks[name] = load_task(path)
    assert tasks["told"].sample(0).meta["caption"].strip() == "It is x."
    assert "caption" not in tasks["told"].sample(1).meta
    assert "caption" not in tasks["bare"].sample(0).meta
    assert tasks["told"].config()["caption_column"] == "told"
    assert not [key for key in {**tasks["bare"].config(), **tasks["bare"].config()["data"]} if "caption" in key]
