"""What the controls score on natural scenes: the table of docs/natural.md.

    python benchmarks/natural_controls.py [TASK.yaml ...] [--items 2000]

Without task files, the four families over the cast that ships. No image is drawn, since the controls read scenes and
questions. `colour` behind a task's name is its questions about colours alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import vtbench_controls
from vtbench.metric import Batch
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.metrics import Accuracy, PairAccuracy
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.sources import SceneTask
from vtbench.types import Record, Sample, Score
from vtbench_controls.question_statistic import QuestionStatistic
from vtbench_controls.symbolic import guess

FAMILIES = ("natural_coarse", "natural_attribute", "natural_relational", "natural_scene_graph")
CONTROLS = ("oracle", "blind", "majority", "colour_prior", "bag_of_objects")
SHOWN = ("acc", "pair_acc", "tuple_f1", "object_f1", "relation_f1")


def scores(samples: list[Sample], answers: list[str]) -> dict[str, Score]:
    """Return the scores of answers that apply to the samples."""
    outputs = [vtbench_controls.echo(text).generate([s], 72)[0] for s, text in zip(samples, answers, strict=True)]
    facts = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "meta", "answer_type")
    records = [Record(task="t", **{fact: getattr(sample, fact) for fact in facts}) for sample in samples]
    found: dict[str, Score] = {}
    for metric in (Accuracy(), PairAccuracy(), SceneGraph()):
        found |= metric.compute(records, metric.observe(Batch(samples, outputs, {})))
    return {name: found[name] for name in SHOWN if found.get(name) and found[name].value is not None}


def rows(task: SceneTask, items: int) -> list[str]:
    """Return the table's lines of a task."""
    samples = [task.draft(i) for i in range(items)]
    said = {
        name: [output.text or "" for output in vtbench_controls.vtbench_adapters()[name]().generate(samples, 72)]
        for name in CONTROLS
    }
    others = task.drawn_again("train", task.spec.seed + 1, items)
    learnt = QuestionStatistic(others.draft(i) for i in range(items))
    said["question_words"] = [learnt.answer(sample) or guess(sample) for sample in samples]
    found = {name: scores(samples, answers) for name, answers in said.items()}
    lines = []
    for score, first in found["oracle"].items():
        chance = "" if first.chance is None else f"{100 * first.chance:.1f}"
        values = " | ".join(f"{100 * (found[name][score].value or 0):.1f}" for name in said)
        lines.append(f"| `{task.name}` | `{score}` | {first.n} | {chance} | {values} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", type=Path)
    parser.add_argument("--items", type=int, default=2000)
    options = parser.parse_args()
    files = options.tasks or [find_task_files()[name] for name in FAMILIES]
    names = (*CONTROLS, "question_words")
    print("| task | score | n | chance | " + " | ".join(f"`{name}`" for name in names) + " |")
    print("|---" * (4 + len(names)) + "|")
    for path in files:
        task = load_task(path)
        assert isinstance(task, SceneTask)
        variants = [task]
        if "colour" in task.spec.weights and len(task.spec.weights) > 1:
            colours = load_task(path, kinds={"colour": 1})
            assert isinstance(colours, SceneTask)
            colours.name = f"{task.name}, colour"
            variants.append(colours)
        for variant in variants:
            print("\n".join(rows(variant, options.items)), flush=True)


if __name__ == "__main__":
    main()
