"""Prompt formats: what a model is asked, and that no format changes what is right."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from vtbench.adapter import INSTRUCT, PLAIN
from vtbench.errors import SampleError, TaskError
from vtbench.scoring.answers import exact_match
from vtbench.scoring.graph import parse_graph
from vtbench.task.catalog import builtin_tasks, find_task_files
from vtbench.task.formats import PromptFormat
from vtbench.task.loading import load_task
from vtbench.task.prepared import in_format
from vtbench.types import Sample, Task

CLOSED = ("coarse", "attribute", "relational", "occlusion", "precise_offset")


REAL = {path.stem for path in (builtin_tasks() / "real").glob("*.yaml")}


def builtin(name: str) -> Task:
    return load_task(find_task_files()[name])


def own_task(folder: Path, formats: str, rows: str = "") -> Task:
    (folder / "mine.jsonl").write_text(
        rows or '{"image": "x.png", "prompt": "Which?", "target": "b", "choices": ["a", "b"]}'
    )
    text = f"task: mine\ndata: {{path: mine.jsonl, choices: choices}}\n{dedent(formats)}"
    (folder / "mine.yaml").write_text(text)
    return load_task(folder / "mine.yaml")


@pytest.mark.parametrize("name", sorted(set(find_task_files()) - REAL))
def test_plain_is_the_task_itself(name: str) -> None:
    task = builtin(name)
    plain = in_format(task, PLAIN)
    assert plain.config() == task.config(), "the digest of earlier runs must not move"
    assert [plain.sample(i, 32).prompt for i in range(6)] == [task.sample(i, 32).prompt for i in range(6)]


@pytest.mark.parametrize("name", CLOSED)
def test_instruct_names_every_choice_and_changes_nothing_but_the_prompt(name: str) -> None:
    task = builtin(name)
    asked = in_format(task, INSTRUCT)
    for index in range(12):
        bare, sample = task.sample(index, 32), asked.sample(index, 32)
        assert sample.prompt.startswith(bare.prompt)
        assert sample.question == bare.prompt
        assert all(choice in sample.prompt for choice in bare.choices)
        for same in ("id", "target", "choices", "kind", "cluster", "scene_hash", "meta", "references"):
            assert getattr(sample, same) == getattr(bare, same)


def test_the_prompts_of_the_benchmark() -> None:
    relational, coarse = (in_format(builtin(name), INSTRUCT) for name in ("relational", "coarse"))
    assert relational.sample(2, 32).prompt.endswith("? Answer with one of these words: yes or no.")
    assert coarse.sample(0, 32).prompt.endswith(
        " Answer with one of these words: circle, square, triangle, star, cross, ring, diamond or crescent."
    )


def test_a_graph_is_asked_for_with_the_words_of_the_task(tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text(
        "task: few\ninclude: scene_graph\n"
        "scene: {shapes: [star, ring], textures: [dotted], sizes: {tiny: 0.1, huge: 0.3}}"
    )
    for name in (INSTRUCT, "json"):
        prompt = in_format(load_task(tmp_path / "few.yaml"), name).sample(0, 32).prompt
        assert "Sizes: tiny, huge." in prompt
        assert "Shapes: star, ring." in prompt
        assert not {"circle", "striped"} & set(prompt.replace(".", "").replace(",", "").split())


def test_the_example_of_a_graph_is_one_in_both_forms() -> None:
    line, json = (in_format(builtin("scene_graph"), name).sample(0, 32).prompt for name in (INSTRUCT, "json"))
    example = parse_graph(line.splitlines()[1])
    assert (example.well_formed, len(example.objects), len(example.relations)) == (True, 2, 1)
    assert parse_graph(json.splitlines()[1]) == example


def test_the_example_answers_of_json_are_the_same_graph() -> None:
    task = builtin("scene_graph")
    for index in range(20):
        sample = in_format(task, "json").sample(index, 32)
        assert sample.target == task.sample(index, 32).target
        assert parse_graph(sample.answer) == parse_graph(sample.target)


@pytest.mark.parametrize("name", CLOSED)
def test_letters_stand_for_choices(name: str) -> None:
    asked = in_format(builtin(name), "letters")
    orders = set()
    for index in range(16):
        sample = asked.sample(index, 32)
        orders.add(sample.labels)
        for letter, choice in zip(sample.labels, sample.choices, strict=True):
            assert f"\n{letter}. {choice}\n" in sample.prompt
            for text in (letter, f"({letter})", f"{letter}. {choice}", f"The answer is {letter}.", choice):
                assert exact_match(text, sample) == (choice, choice == sample.target), text
        assert exact_match(sample.answer, sample) == (sample.target, True)
    assert len(orders) > 1, "the order is drawn"


def test_the_questions_of_a_minimal_pair_have_one_prompt() -> None:
    asked = in_format(builtin("relational"), "letters")
    for number in range(10):
        first, second = (asked.sample(2 * number + i, 32) for i in (0, 1))
        assert (first.prompt, first.labels) == (second.prompt, second.labels)
        assert first.target != second.target


def test_letters_may_keep_the_order_of_the_choices() -> None:
    format = PromptFormat(prompt="{question} {options}", answer="letter", shuffle=False)
    sample = format.apply(Sample("s", 0, (), "Which?", "b", ("a", "b", "c")), {})
    assert (sample.prompt, sample.labels, sample.answer) == ("Which? A. a\nB. b\nC. c", ("A", "B", "C"), "B")


def test_more_choices_than_letters_fail_as_a_sample() -> None:
    choices = tuple(f"choice {i}" for i in range(27))
    with pytest.raises(SampleError, match="27 choices; there are letters for 26"):
        PromptFormat(prompt="{question} {options}").apply(Sample("s", 0, (), "Which?", choices[0], choices), {})


def test_a_users_task_defines_formats(tmp_path: Path) -> None:
    task = own_task(
        tmp_path,
        """\
        formats:
          instruct: "{question} Answer with one of: {choices}."
          german: {prompt: "Frage: {question}", max_new_tokens: 5}
        """,
    )
    (tmp_path / "x.png").write_bytes(_png())
    assert in_format(task, INSTRUCT).sample(0).prompt == "Which? Answer with one of: a or b."
    german = in_format(task, "german")
    assert (german.sample(0).prompt, german.max_new_tokens) == ("Frage: Which?", 5)
    assert german.config()["prompt_format"] == "german"
    assert german.config() != in_format(task, INSTRUCT).config()


def test_instruct_is_the_question_where_a_users_task_says_nothing(tmp_path: Path) -> None:
    task = own_task(tmp_path, "")
    assert in_format(task, INSTRUCT) is task
    with pytest.raises(TaskError, match=r"task 'mine' has no prompt format 'letters'\. There are: plain"):
        in_format(task, "letters")


def test_braces_in_a_question_are_text(tmp_path: Path) -> None:
    rows = '{"image": "x.png", "prompt": "What is {x} or {choices}?", "target": "a", "choices": ["a", "{b}"]}'
    task = own_task(tmp_path, 'formats: {instruct: "{question} {choices} {{}}"}', rows)
    (tmp_path / "x.png").write_bytes(_png())
    assert in_format(task, INSTRUCT).sample(0).prompt == "What is {x} or {choices}? a or {b} {}"


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        ("formats: {plain: '{question}'}", "`plain` is the question as it is"),
        ("formats: {mine: 'Answer.'}", r"must contain \{question\}"),
        ("formats: {mine: '{question} {coices}'}", r"no placeholder \{coices\}\. Did you mean 'choices'"),
        ("formats: {mine: '{question} {sizes}'}", r"no placeholder \{sizes\}"),
        ("formats: {mine: '{question'}", "write {{ for a brace"),
        ("formats: {mine: '{question} {}'}", r"no placeholder \{\}"),
        ("formats: {mine: '{question!r}'}", "no placeholder"),
        ("formats: {mine: '{question.__class__}'}", "no placeholder"),
        ("formats: {mine: {prompt: '{question}', answer: letter}}", r"needs the lettered \{options\}"),
        ("formats: {mine: {prompt: '{question}', answer: json}}", "only scene graphs"),
        ("formats: {mine: {prompt: '{question}', answer: word}}", "line 3"),
        ("formats: {mine: {prompt: '{question}', max_new_tokens: 0}}", "max_new_tokens"),
        ("formats: {mine: {promt: '{question}'}}", "unknown key"),
        ("formats: [a]", "formats"),
    ],
)
def test_a_format_that_cannot_be_used_names_file_and_line(tmp_path: Path, formats: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as error:
        own_task(tmp_path, formats)
    assert str(error.value).startswith(f"{tmp_path / 'mine.yaml'}, line 3")
    assert "\n" not in str(error.value)


def test_choices_in_a_task_without_choices_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"image": "x.png", "prompt": "Which?", "target": "b"}')
    (tmp_path / "mine.yaml").write_text("task: mine\ndata: {path: mine.jsonl}\nformats: {a: '{question} {choices}'}")
    with pytest.raises(TaskError, match=r"name their column under data\.choices"):
        load_task(tmp_path / "mine.yaml")


def test_a_mix_asks_each_task_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "both.yaml").write_text("task: both\nmix: [relational, scene_graph]")
    asked = in_format(load_task(tmp_path / "both.yaml"), INSTRUCT)
    assert asked.sample(0, 32).prompt.endswith("left, right, above or below.")
    assert "one line in this form" in asked.sample(1, 32).prompt
    assert asked.max_new_tokens == 256, "room for the longest"
    assert asked.config()["prompt_format"] == INSTRUCT
    assert "prompt_format" not in load_task(tmp_path / "both.yaml").config()
    with pytest.raises(TaskError, match="task 'scene_graph' has no prompt format 'letters'"):
        in_format(load_task(tmp_path / "both.yaml"), "letters")


def test_a_variant_of_a_family_keeps_its_formats_and_may_change_one(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("task: mine\nfamily: coarse\nformats: {instruct: '{question} One word.'}")
    task = load_task(tmp_path / "mine.yaml")
    assert in_format(task, INSTRUCT).sample(0, 32).prompt.endswith(" One word.")
    assert in_format(task, "letters").sample(0, 32).labels


def _png() -> bytes:
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return buffer.getvalue()
