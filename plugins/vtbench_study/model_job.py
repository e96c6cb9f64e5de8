"""One model of a study: trained, then measured. Killed at any time, it goes on where it was.

In: a study's directory and a cell. Out, in that directory:

    models/<cell>/          the training, see vtbench_training.finetune
    runs/<cell>/<measure>/  one run of vtbench for each measure
    tokens/<cell>.json      a panel of its visual tokens

Called as `python -m vtbench_study.cell DIRECTORY CELL` in a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vtbench
from vtbench.console import Listener
from vtbench.errors import VtbenchError
from vtbench.store import write_file
from vtbench.stored import runs
from vtbench_study.plan import Cell, Plan, plan_of

BATCH = 32
"""Samples in a batch. It is fixed, as an automatic one moves the last digits from run to run."""


def work(directory: Path, cell: Cell, plan: Plan, device: str = "auto") -> None:
    """Train and measure a model, as far as that has not been done.

    Raises:
        VtbenchError: what `finetune` and `vtbench.run` raise.
    """
    checkpoint = _checkpoint(directory, cell, plan, device)
    for name, fields in measures(cell, plan, checkpoint):
        _measure(directory / "runs" / cell.name / name, fields | {"device": device})
    panel = directory / "tokens" / f"{cell.name}.json"
    if not panel.exists():
        panel.parent.mkdir(exist_ok=True)
        write_file(panel, json.dumps(_panel(directory / "runs" / cell.name / "cues")) + "\n")


def measures(cell: Cell, plan: Plan, checkpoint: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the runs that a model is measured by: a name, and the fields of a `RunConfig`."""
    model = {"model": "llava", "model_args": {"pretrained": checkpoint}}
    answers = ["accuracy", "rank_accuracy", "scene_graph"]
    yield "answers", model | {"tasks": list(plan.families), "metrics": answers, "limit": plan.items}
    tokens = ["redundancy", "redundancy_layers", "carriers", "token_use", "geometry"]
    yield "probe", model | {"tasks": ["probe"], "metrics": tokens, "limit": plan.images}
    yield "cues", model | {"tasks": ["probe"], "metrics": ["cues"], "limit": plan.probed}
    own = cell.own or list(plan.families)
    yield "own", model | {"tasks": own, "metrics": ["redundancy"], "limit": plan.images}
    if cell.own:
        blind = {"model": "blind", "model_args": {"model": "llava", "pretrained": checkpoint}}
        yield "blind", blind | {"tasks": own, "metrics": answers, "limit": plan.items}
        yield "drop", model | {"tasks": own, "metrics": ["drop_curve"], "limit": plan.dropped}


def finished_run(parent: Path) -> Path | None:
    """Return the finished run in a directory of runs, if there is one."""
    done = [run for run in runs(parent) if run.get("finished")]
    return Path(done[0]["path"]) if done else None


def _checkpoint(directory: Path, cell: Cell, plan: Plan, device: str) -> str:
    from vtbench_training.bases import checkpoint_of
    from vtbench_training.finetune import finetune

    if cell.kind == "base":
        return checkpoint_of(plan.base)
    home = directory / "models" / cell.name
    finished = finetune(plan.settings(cell), home, device, save_every=100, guard_images=0)
    (home / "finetune.pt").unlink(missing_ok=True)  # of no use any more, and four times as large as the model
    return str(finished)


def _measure(parent: Path, fields: dict[str, Any]) -> None:
    if finished_run(parent) is None:
        begun = bool(runs(parent))
        where = {"output": str(parent), "resume": begun, "report": False, "batch_size": BATCH}
        vtbench.run(**fields, **where, listener=Listener())


def _panel(parent: Path) -> dict[str, Any]:
    from vtbench_probes.sections import stored_panel

    path = finished_run(parent)
    assert path is not None
    return stored_panel(path, "probe", tokens=1500)


def main(directory: Path, name: str, device: str) -> int:
    """Do the work of one cell; what goes wrong is the last line on standard error."""
    from vtbench_hf.allocator import keep_freed_memory

    threading.Thread(target=_end_with_the_study, daemon=True).start()
    keep_freed_memory()
    plan = plan_of(json.loads((directory / "plan.json").read_text(encoding="utf-8"))["plan"])
    try:
        work(directory, plan.cell(name), plan, device)
    except VtbenchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _end_with_the_study() -> None:
    """End this process when standard input does: the study that began it is gone, and may be begun again."""
    while os.read(0, 1):  # not sys.stdin, whose lock a forked worker of the training would wait for
        pass
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
