"""Looks at a training's items before anything is trained: what would fail at step 900 fails at once, in one line."""

from __future__ import annotations

import numpy as np

from vtbench.adapter import BudgetTrainableAdapter, TrainableAdapter
from vtbench.errors import SampleError, VtbenchError
from vtbench_training.finetune.item_batches import TrainingItems, encoded
from vtbench_training.finetune.training_tasks import TrainingTask


def check_items(items: TrainingItems, adapter: TrainableAdapter, budget: str | None = None) -> None:
    """Check that a model can be trained on some items.

    All rows of a task are read, and the texts of its first scenes; the first two items are encoded.

    Args:
        items: of the training.
        adapter: of the model. Its method `check_training_text(sample, max_new_tokens)`, where it has one, raises a
            `SampleError` for a text that the model cannot read or write.
        budget: the token budget, if there is one.

    Raises:
        VtbenchError: they cannot be used; names the task and the item.
    """
    check_text = getattr(adapter, "check_training_text", None)
    for name, one in items.tasks.items():
        if not len(one.task):
            raise VtbenchError(f"mix: {name!r} has no rows to train on")
        try:
            for draft in one.drafts():
                if check_text is not None:
                    check_text(draft, one.task.max_new_tokens)
            encoded(adapter, [one.sample(number, items.image_size) for number in range(2)])
        except SampleError as error:
            raise VtbenchError(f"mix: {name}: {error}") from None
        if budget and isinstance(adapter, BudgetTrainableAdapter):
            _check_boxes(one, adapter, items.image_size)


def _check_boxes(one: TrainingTask, adapter: BudgetTrainableAdapter, side: int) -> None:
    """Refuse images whose tokens stand elsewhere than those of the images that the budget is told of."""
    drawn = one.image_size(side)
    known, found = (
        adapter.token_boxes(size, "connector")
        for size in ((side, side), (2 * side, side) if drawn is None else (drawn, drawn))
    )
    if known is None and found is None:
        return
    if known is None or found is None or not np.array_equal(known, found):
        raise VtbenchError(
            f"budget: the images of {one.name!r} are not {side} pixels square, so that their tokens stand elsewhere; "
            f"set image_size: {side} in the task file, or leave --budget out"
        )
