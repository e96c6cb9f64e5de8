"""A summary in, TensorBoard's event files out, in `tensorboard/` of the run's directory.

Scalars have their interval as description; what was run is there as text and as hyperparameters. TensorBoard keeps no
files, so the report stays beside them. Neither torch nor TensorFlow is needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as Proto
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from vtbench.tracker import Summary


class EventFiles:
    """TensorBoard."""

    def publish(self, summary: Summary) -> str:
        """Write the summary's event file in place of an earlier one, and return the directory."""
        directory = summary.directory / "tensorboard"
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
        ends = [numbers.get(f"{name}{end}") for end in ("_low", "_high")]
        about = f"95 %: {ends[0]:.4f} to {ends[1]:.4f}" if None not in ends else None
        yield scalar_pb(name, value, description=about)
    rows = "".join(f"|{key}|{str(value).replace('|', '&#124;')}|\n" for key, value in summary.config.items())
    yield text_pb("run", f"|{summary.name}||\n|-|-|\n{rows}")
    yield hparams_pb(dict(summary.config), trial_id=summary.id)
