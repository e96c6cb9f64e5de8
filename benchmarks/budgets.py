"""What a token budget saves: seconds of prefill and of decoding under budgets, beside those of the whole image.

    python benchmarks/budgets.py [--budgets grid:f=0.25,...] [--model llava] [--model-args K=V] [--rounds 9]

Every round takes a new batch of questions and asks it under every budget in turn, in an order that turns with the
rounds; a ratio is that of a budget to the whole image in the same round, and what is printed is the median of the
ratios with their quartiles. Prefill is what the adapter measures: the budget's own work and the decoder's pass over the
prompt, the vision tower not. Decoding is per new token after the first: a batch goes on until its longest answer ends,
and among scene descriptions there is always one that is longer than --new-tokens.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence

import torch

from vtbench.adapter import BudgetAdapter
from vtbench.budget import Budget
from vtbench.registry import Registry
from vtbench.settings import parse_settings, split_specs
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task

BUDGETS = "grid:f=1,grid:f=0.5,grid:f=0.25,grid:f=0.1,grid:k=0,saliency:p=0.5,farthest_point:f=0.25,merge:t=0.9"
WHOLE = "whole image"
TASK = "scene_graph"
"""Its answers are long: what is compared of decoding is many steps."""


Times = Mapping[str, Sequence[tuple[float, float, float]]]
"""By budget and round: visual tokens, seconds of prefill, and seconds of decoding for each token after the first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", default=BUDGETS)
    parser.add_argument("--model", default="llava")
    parser.add_argument("--model-args", default="")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    adapter = Registry().adapter(options.model, parse_settings(options.model_args))
    budgets = {WHOLE: None} | {text: Registry().budget(text) for text in split_specs(options.budgets)}
    took = budget_times(adapter, budgets, options.batch_size, options.new_tokens, options.rounds)
    print(f"{torch.get_num_threads()} thread(s), {adapter.describe()['device']}, batches of {options.batch_size}")
    print(f"{'budget':24} {'tokens':>7} {'prefill ms':>11} {'ratio':>18} {'decode ms/token':>16} {'ratio':>18}")
    for name, rounds in took.items():
        line = f"{name:24} {statistics.fmean(tokens for tokens, _, _ in rounds):7.1f}"
        for part in (1, 2):
            low, middle, high = statistics.quantiles(ratios(took, name, part), n=4)
            line += f" {1000 * statistics.median(row[part] for row in rounds):{11 if part == 1 else 16}.3f}"
            line += f"  {middle:.2f} ({low:.2f}, {high:.2f})".rjust(19)
        print(line)


def budget_times(
    adapter: BudgetAdapter, budgets: Mapping[str, Budget | None], batch_size: int, new_tokens: int, rounds: int
) -> Times:
    """Ask a new batch in each round under every budget in turn; return what an answer took, by budget."""
    task = load_task(find_task_files()[TASK])
    took: dict[str, list[tuple[float, float, float]]] = {name: [] for name in budgets}
    for number in range(-1, rounds):  # one to warm up
        start = (number + 1) * batch_size
        samples = [task.sample(i, adapter.image_size) for i in range(start, start + batch_size)]
        adapter.visual_tokens(samples, ["connector"])
        turn = number % len(budgets)
        for name in [*list(budgets)[turn:], *list(budgets)[:turn]]:
            said = adapter.generate(samples, new_tokens, budgets[name])
            tokens, prefill, decode = (
                statistics.fmean(getattr(output, part) for output in said)
                for part in ("visual_tokens_in", "prefill_seconds", "decode_seconds")
            )
            if number >= 0:
                took[name].append((tokens, prefill, decode / (new_tokens - 1)))
    return took


def ratios(took: Times, name: str, part: int) -> list[float]:
    """Return a budget's times over those of the whole image in the same round; part 1 is prefill, 2 decoding."""
    return [own[part] / whole[part] for own, whole in zip(took[name], took[WHOLE], strict=True)]


if __name__ == "__main__":
    main()
