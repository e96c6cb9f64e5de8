"""Task files: every built-in one loads and fits the schema, every mistake names file, line and key."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from PIL import Image

from vtbench.errors import SampleError, TaskError
from vtbench.task.catalog import find_task_files, summary
from vtbench.task.loading import load_task
from vtbench.task.schema import json_schema

FILES = {name: path for name, path in find_task_files().items() if not summary(path)["needs"]}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", FILES)
def test_built_in_tasks_load_and_fit_the_schema(name: str) -> None:
    task = load_task(FILES[name])
    assert task.name == name
    assert len(task) == 2000
    assert task.sample(0, 32).images[0].size == (32, 32)
    jsonschema.validate(yaml.safe_load(FILES[name].read_text()), json_schema())
    assert summary(FILES[name])["description"] == task.description
    json.dumps(task.config(), allow_nan=False)


def test_the_committed_schema_is_the_models_own() -> None:
    committed = json.loads((ROOT / "docs/task.schema.json").read_text())
    assert committed == json.loads(json.dumps(json_schema())), "run `make schema`"


@pytest.mark.parametrize("split", ["train", "val", "probe", "comp", "noise", "background"])
def test_every_family_has_every_split(split: str) -> None:
    for name in FILES:
        sample = load_task(FILES[name], split=split).sample(3, 32)
        assert sample.prompt
        assert sample.target


def test_noise_and_background_are_the_items_of_test() -> None:
    test, noise, background = (load_task(FILES["relational"], split=s) for s in ("test", "noise", "background"))
    for i in range(8):
        a, b, c = (task.sample(i, 64) for task in (test, noise, background))
        assert (a.prompt, a.target, a.scene) == (b.prompt, b.target, b.scene)
        assert (a.prompt, a.target, a.scene.objects) == (c.prompt, c.target, c.scene.objects)
        assert c.scene.background.kind != "plain"
        assert {"corruption", "severity"} <= set(b.meta)
        assert a.images[0].tobytes() not in (b.images[0].tobytes(), c.images[0].tobytes())


def relational(**changes: object) -> str:
    data = yaml.safe_load(FILES["relational"].read_text())
    return yaml.safe_dump({**data, "task": "mine", **changes}, sort_keys=False)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (relational(itmes=3), "itmes: unknown key. Did you mean 'items'"),
        (relational(scene=3), "scene: must be a mapping, such as {cast: ...}, not 3"),
        (relational(items="many"), "items: Input should be a valid integer"),
        (relational(items=0), "items: Input should be greater than or equal to 1"),
        (relational(scene={"max_objects": 9}), "scene.max_objects"),
        (relational(scene={"min_objects": 4, "max_objects": 2}), "min_objects 4 is above max_objects 2"),
        (relational(scene={"sizes": {"a": 0.2, "b": 0.25}}), "factor of 1.6"),
        (relational(scene={"shapes": ["circle", "blob"]}), "scene.shapes"),
        (relational(kinds={"lefft": 1}), "Did you mean 'left'"),
        (relational(kinds={"left": 0}), "nothing is left to ask"),
        (relational(kinds={"left": 1}, questions={"left": ["Is it left?"]}), "must contain {a}, {b}"),
        (relational(kinds={"left": 1}, questions={"left": ["Is {a left?"]}), "questions.left: 'Is {a left?'"),
        (relational(family="relation"), "family"),
        (relational(mix=["coarse"]), "exactly one of family, mix, data"),
        ("task: mine\ntask: mine\n", "line 2: the key 'task' occurs twice"),
        ("task: [\n", "not valid YAML"),
        ("- a\n", "must hold `key: value` lines"),
        ("task: mine\nmix: [nope]\n", "there is no task 'nope'"),
        ("task: mine\ndata: {path: gone.jsonl}\n", "gone.jsonl: cannot be read: No such file"),
        ("task: mine\ndata: {path: mine.yaml}\n", "must be a .jsonl or .parquet file"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(TaskError) as caught:
        load_task(path)
    message = str(caught.value)
    assert wanted in message
    assert "\n" not in message
    assert str(tmp_path) in message


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(relational().replace("items: 2000", "items: 2000\ncolour: red"))
    line = path.read_text().splitlines().index("colour: red") + 1
    with pytest.raises(TaskError, match=f"line {line}: colour: unknown key"):
        load_task(path)
    path.write_text(relational(kinds={"lefft": 1}))
    line = path.read_text().splitlines().index("kinds:") + 1
    with pytest.raises(TaskError, match=f"line {line}: kinds: relational has no kind"):
        load_task(path)


def test_scenes_that_cannot_fit_say_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(relational(scene={"min_objects": 6, "max_objects": 6, "sizes": {"huge": 0.55}}))
    with pytest.raises(TaskError, match="no scene fits these settings"):
        load_task(path).sample(0)


def test_settings_reach_the_images(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    colours = {"pink": [240, 150, 190], "navy": [20, 30, 90], "lime": [180, 240, 60], "grey": [128, 128, 128]}
    path.write_text(relational(scene={"colours": colours, "textures": ["solid"], "shapes": ["circle", "ring", "star"]}))
    task = load_task(path)
    objects = [t for i in range(20) for t in task.sample(i, 32).scene.objects]
    assert {t.colour for t in objects} == set(colours)
    assert {t.texture for t in objects} == {"solid"}


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not an image")
    rows = [
        {"file": "a.png", "q": "Which colour?", "a": "red", "options": ["red", "blue"], "scene": "s1"},
        {"file": "b.png", "q": "Which colour?", "a": "red", "options": ["red", "blue"], "scene": "s1"},
        {"file": ["a.png", "a.png"], "q": "Same?", "a": "yes", "options": ["yes", "no"], "scene": "s2"},
        {"q": "No image here", "a": "yes", "options": ["yes", "no"], "scene": "s2"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    columns = "image: file, prompt: q, target: a, choices: options, cluster: scene"
    (tmp_path / "mine.yaml").write_text(f"task: mine\ndata: {{path: rows.jsonl, {columns}}}\n")
    return tmp_path


def test_own_images_become_samples(own_data: Path) -> None:
    task = load_task(own_data / "mine.yaml")
    assert len(task) == 4
    sample = task.sample(0)
    assert (sample.prompt, sample.target, sample.choices, sample.cluster) == (
        "Which colour?",
        "red",
        ("red", "blue"),
        "s1",
    )
    assert sample.images[0].size == (40, 30)
    assert len(task.sample(2).images) == 2
    with pytest.raises(SampleError, match=r"rows.jsonl, row 2: cannot read the image b.png"):
        task.sample(1)
    with pytest.raises(SampleError, match="row 4: no 'file'"):
        task.sample(3)


def test_changed_data_changes_the_config(own_data: Path) -> None:
    before = load_task(own_data / "mine.yaml").config()
    with (own_data / "rows.jsonl").open("a") as file:
        file.write('{"file": "a.png", "q": "?", "a": "x"}\n')
    assert load_task(own_data / "mine.yaml").config() != before


def test_parquet_with_bytes_as_datasets_writes_them(own_data: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    image = {"bytes": (own_data / "a.png").read_bytes(), "path": "a.png"}
    table = pyarrow.Table.from_pylist([{"image": image, "prompt": "?", "target": "red"}])
    pyarrow.parquet.write_table(table, own_data / "rows.parquet")
    (own_data / "other.yaml").write_text("task: other\ndata: {path: rows.parquet}\n")
    sample = load_task(own_data / "other.yaml").sample(0)
    assert sample.images[0].getpixel((0, 0)) == (255, 0, 0)
    assert sample.choices == ()


@pytest.mark.parametrize(
    ("line", "wanted"), [("{oops", "line 1: not valid JSON"), ("[1]", "must be an object"), ("", "no rows")]
)
def test_a_broken_data_file_is_one_line(line: str, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(line)
    (tmp_path / "mine.yaml").write_text("task: mine\ndata: {path: rows.jsonl}\n")
    with pytest.raises(TaskError, match=wanted):
        load_task(tmp_path / "mine.yaml")
