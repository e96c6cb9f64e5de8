"""TensorBoard: writes the summary of a run as event files.

A scalar has its 95 % interval as description; the config is written as text and as hyperparameters. TensorBoard stores
no files, so the report stays in the run's directory. Neither torch nor TensorFlow is needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as Proto
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from vtbench.tracker import Summary
from vtbench_trackers.tracker_settings import TensorboardSettings


class TensorboardTracker:
    """Writes event files.

    Args:
        settings: where they are written.
    """

    def __init__(self, settings: TensorboardSettings) -> None:
        self._settings = settings

    def publish(self, summary: Summary) -> str:
        """Write the event file of a run, in place of an earlier one of the same run, and return its directory."""
        parent = self._settings.directory
        directory = Path(parent).expanduser() / summary.name if parent else summary.directory / "tensorboard"
        for old in directory.glob("events.out.tfevents.*"):
            old.unlink()
        writer = EventFileWriter(str(directory))
        try:
            for proto in _protos(summary):
                writer.add_event(Event(summary=proto, step=0, wall_time=time.time()))
        finally:
            writer.close()
        return str(directory)


def _protos(summary: Summary) -> Iterator[Proto]:
    numbers = summary.numbers
    for name, value in numbers.items():
        interval = [numbers.get(f"{name}{end}") for end in ("_low", "_high")]
        description = f"95 %: {interval[0]:.4f} to {interval[1]:.4f}" if None not in interval else None
        yield scalar_pb(name, value, description=description)
    rows = "".join(f"|{key}|{str(value).replace('|', '&#124;')}|\n" for key, value in summary.config.items())
    yield text_pb("run", f"|{summary.name}||\n|-|-|\n{rows}")
    yield hparams_pb(dict(summary.config), trial_id=summary.id)
