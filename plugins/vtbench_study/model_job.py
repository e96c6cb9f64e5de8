"""The job of one model of a study: train it, then measure it. It can be killed at any time, and then resumes.

It writes to the study's directory:

    models/<cell>/          the training, see vtbench_training.finetune, and the model after `kept_steps`
    runs/<cell>/<name>/     one run of vtbench for each entry of `measurement_runs`; of `short_runs` for the model after
                            N steps (<cell>@N) and for shipped models
    tokens/<cell>.json      t-SNE panel of its visual tokens

Called as `python -m vtbench_study.model_job DIRECTORY CELL DEVICE STAGE` in a process of its own; STAGE is `train`, or
`all` to measure too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import vtbench
from vtbench.console.terminal import say
from vtbench.errors import VtbenchError
from vtbench.runs.disk import write_file
from vtbench.runs.reader import runs
from vtbench_study.checkpoint_results import checkpoint_name
from vtbench_study.model_results import finished_run, run_on_test
from vtbench_study.plan import Cell, Plan
from vtbench_study.study_progress import PhaseListener, say_phase

BATCH_SIZE = 32
"""Samples in a batch; fixed, because an automatic size changes the last digits from run to run."""
ANSWERS = ("accuracy", "rank_accuracy", "scene_graph")
"""Metrics of answers."""
PANEL_TOKENS = 1500
"""Tokens in the t-SNE panel."""


def is_trained(directory: Path, cell: Cell) -> bool:
    """Return whether the training of a cell is finished."""
    return (directory / "models" / cell.name / "model").is_dir()


def measure(directory: Path, cell: Cell, plan: Plan, model_args: Mapping[str, str], device: str = "auto") -> None:
    """Measure a model; what is finished already is skipped.

    Raises:
        VtbenchError: see `vtbench.run`.
    """
    for name, fields in measurement_runs(cell, plan, model_args):
        _run_once(directory / "runs" / cell.name / name, fields | {"device": device})
    panel = directory / "tokens" / f"{cell.name}.json"
    if not panel.exists():
        panel.parent.mkdir(exist_ok=True)
        write_file(panel, json.dumps(_token_panel(directory / "runs" / cell.name / "cues")) + "\n")


def measurement_runs(cell: Cell, plan: Plan, model_args: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the runs that measure a model: a name, and the fields of a `RunConfig`."""
    model = {"model": "llava", "model_args": dict(model_args)}
    beside = [family for family in cell.families if family not in (*plan.families, *plan.tests)]
    asked = [plan.location(family) for family in (*plan.families, *beside)]
    yield "answers", model | {"tasks": asked, "metrics": [*ANSWERS], "limit": plan.items}
    tokens = ["redundancy", "redundancy_layers", "carriers", "token_use", "geometry"]
    yield "probe", model | {"tasks": ["probe"], "metrics": tokens, "limit": plan.images}
    yield "cues", model | {"tasks": ["probe"], "metrics": ["cues"], "limit": plan.probed}
    families = [plan.location(family) for family in cell.families or plan.families]
    yield "own", model | {"tasks": families, "metrics": ["redundancy"], "limit": plan.images}
    if cell.families:
        blind = {"model": "blind", "model_args": {"model": "llava", **model_args}}
        yield "blind", blind | {"tasks": families, "metrics": [*ANSWERS], "limit": plan.items}
        yield "drop", model | {"tasks": families, "metrics": ["drop_curve"], "limit": plan.dropped}
    yield from runs_on_tests("llava", model_args, plan)


def runs_on_tests(model: str, model_args: Mapping[str, str], plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the runs that measure a model on the plan's tests: its answers, and its redundancy on their images."""
    fields = {"model": model, "model_args": dict(model_args)}
    for task in plan.tests:
        asked = fields | {"tasks": [plan.location(task)]}
        yield run_on_test("answers", task), asked | {"metrics": [*ANSWERS], "limit": plan.items}
        yield run_on_test("redundancy", task), asked | {"metrics": ["redundancy"], "limit": plan.images}


def measure_in_short(home: Path, runs: Iterator[tuple[str, dict[str, Any]]], device: str = "auto") -> None:
    """Run or resume `short_runs` in a directory of their own.

    Raises:
        VtbenchError: see `vtbench.run`.
    """
    for name, fields in runs:
        _run_once(home / name, fields | {"device": device})


def short_runs(
    model: str, model_args: Mapping[str, str], families: Sequence[str], plan: Plan
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the mixed model over checkpoints needs: accuracy, redundancy on the probe set, and drop curves."""
    fields = {"model": model, "model_args": dict(model_args)}
    asked = [plan.location(family) for family in families]
    yield "answers", fields | {"tasks": asked, "metrics": ["accuracy", "scene_graph"], "limit": plan.items}
    yield "probe", fields | {"tasks": ["probe"], "metrics": ["redundancy"], "limit": plan.images}
    # with a second metric, as a shipped model that takes no budget would have none
    yield "drop", fields | {"tasks": asked, "metrics": ["accuracy", "scene_graph", "drop_curve"], "limit": plan.dropped}


def trained(directory: Path, cell: Cell, plan: Plan, device: str) -> dict[str, str]:
    """Return the model arguments that load the model of a cell, which is trained unless it is the base.

    Raises:
        VtbenchError: see `finetune`.
    """
    from vtbench_training.finetune.base_model import base_arguments
    from vtbench_training.finetune.trainer import finetune

    if cell.kind == "base":
        return base_arguments(plan.base)
    home = directory / "models" / cell.name
    keep = plan.kept_steps()
    checkpoint = finetune(
        plan.settings(cell), home, device, _say_step, save_every=100, check_images=0, keep=keep, phase=_say_training
    )
    (home / "finetune.pt").unlink(missing_ok=True)  # the resume state: four times the size of the model
    return {"pretrained": str(checkpoint)}


def _say_step(line: dict[str, Any]) -> None:
    say_phase(f"training {line['step']:,}/{line['steps']:,}, loss {line['loss']:.3f}")


def _say_training(what: str, about: str) -> None:
    say_phase(f"training: {what} {about}")


def _run_once(parent: Path, fields: dict[str, Any]) -> None:
    """Run or resume a measurement, unless it is finished."""
    if finished_run(parent) is None:
        resume = bool(runs(parent))
        settings: dict[str, Any] = {"output": str(parent), "resume": resume, "report": False, "batch_size": BATCH_SIZE}
        vtbench.run(**fields, **settings, listener=PhaseListener(parent.name))


def _token_panel(parent: Path) -> dict[str, Any]:
    from vtbench_probes.report import stored_panel

    path = finished_run(parent)
    assert path is not None
    return stored_panel(path, "probe", tokens=PANEL_TOKENS)


def main(directory: Path, name: str, device: str, stage: str) -> int:
    """Run the job of one cell; on failure the last line on standard error has the reason."""
    from vtbench.engine.allocator import keep_freed_memory
    from vtbench_training.finetune.trainer import step_directory

    threading.Thread(target=_exit_with_parent, daemon=True).start()
    keep_freed_memory()
    plan = Plan.from_document(json.loads((directory / "plan.json").read_text(encoding="utf-8"))["plan"])
    cell = plan.cell(name)
    try:
        if cell.kind == "shipped":
            measured = chain(short_runs(cell.model, {}, plan.families, plan), runs_on_tests(cell.model, {}, plan))
            measure_in_short(directory / "runs" / name, measured, device)
            return 0
        model_args = trained(directory, cell, plan, device)
        if stage != "train":
            measure(directory, cell, plan, model_args, device)
            for step in plan.kept_steps() if cell.families else []:
                source = {"pretrained": str(step_directory(directory / "models" / name, step))}
                home = directory / "runs" / checkpoint_name(name, step)
                measure_in_short(home, short_runs(cell.model, source, cell.families, plan), device)
    except VtbenchError as error:
        say(error, err=True)
        return 2
    return 0


def _exit_with_parent() -> None:
    """Exit when standard input closes: the study that started this process has ended, and may be started again."""
    while os.read(0, 1):  # not sys.stdin: a forked data worker would wait for its lock
        pass
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:5]))
