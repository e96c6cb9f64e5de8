"""Do the Redundancy Score, the drop curve and accuracy move with a known dose of redundancy as the closed form says?

    python benchmarks/dose_response.py [--images 2000] [--items 600] [--output results/dose]

The embedded model's visual tokens are thinned to S, each is copied k times, and every copy gets noise of its own
(`--model duplicated`). Two series: k copies of the same 16 tokens, where accuracy should stay and everything else move;
and 64 tokens throughout, of which fewer are different. Predictions come from the tokens without copies and noise, and
from answers without copies:

- RS, n_eff_16 and nats: `vtbench_redundancy.scores.duplication`;
- accuracy of k noisy copies: that of one with a k-th of the noise's variance;
- the drop curve: random copies hold D different tokens, and accuracy is that with D random ones of S.

Started again it goes on where it was: a run that is there is not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vtbench
from vtbench.runs.reader import read_records, runs
from vtbench_redundancy.metrics.stacked_observations import unique_images
from vtbench_redundancy.protocol import named_protocol
from vtbench_redundancy.scores.drop_curve import FRACTIONS, RETAINED, area, f95
from vtbench_redundancy.scores.duplication import Duplication, Predicted, accuracy_of_copies

PROTOCOL = "rs-v2 r=4"
"""As many coordinates of a token at every dose; the protocol's own number depends on how many tokens there are."""
METRIC = "redundancy:r=4"
TASK = "relational"
LOUD = 0.5


@dataclass(frozen=True, slots=True)
class Setting:
    """S tokens, k copies of each, and the variance of the noise relative to the token's."""

    tokens: int
    copies: int = 1
    noise: float = 0.0

    @property
    def name(self) -> str:
        """Name a directory."""
        return f"{self.tokens}x{self.copies}" + f"-noise{self.noise:g}" * bool(self.noise)

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the model arguments."""
        return {"tokens": self.tokens, "copies": self.copies, "noise": self.noise}

    @property
    def base(self) -> Setting:
        """Return the tokens without copies and noise."""
        return Setting(self.tokens)

    @property
    def averaged(self) -> Setting:
        """What an ideal reader makes of the copies."""
        return Setting(self.tokens, 1, self.noise / self.copies)


ADDED = [Setting(16, k, noise) for noise in (0.0, LOUD) for k in (1, 2, 4)]
REPLACED = [Setting(64), Setting(32, 2), Setting(16, 4), Setting(8, 8)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, help="images of the probe set that scores are from")
    parser.add_argument("--items", type=int, default=600, help=f"questions of {TASK} that are answered")
    parser.add_argument("--output", type=Path, default=Path("results/dose"))
    options = parser.parse_args()
    measure = Measurements(options.output, options.images, options.items)
    doses = list(dict.fromkeys([*ADDED, *REPLACED]))
    print(redundancy_table(measure, doses), end="\n\n", flush=True)
    print(accuracy_table(measure, doses), end="\n\n", flush=True)
    print(drop_table(measure, [dose for dose in doses if not dose.noise and dose.tokens <= 16]))


@dataclass(frozen=True, slots=True)
class Measurements:
    """The runs, made at their first use."""

    output: Path
    images: int
    items: int

    def run(self, name: str, **fields: Any) -> tuple[Path, Mapping[str, Any]]:
        """Return the path of a run and the scores of its task."""
        output = self.output / name
        found = vtbench.run(
            model="duplicated", output=str(output), resume=bool(runs(output)), report=False, **fields
        )  # fmt: skip
        (scores,) = found.document["scores"].values()
        return Path(found.path), scores

    def redundancy(self, dose: Setting) -> tuple[Path, Mapping[str, Any]]:
        """Return the path and the scores of a run on the probe set."""
        return self.run(
            f"probe/{dose.name}", model_args=dose.arguments, tasks=["probe"], metrics=[METRIC], limit=self.images
        )

    def answers(self, dose: Setting, budget: str | None = None) -> Mapping[str, Any]:
        """Return the scores of answers, under a token budget if one is given."""
        part = f"{dose.name}-{budget.replace(':', '-')}" if budget else dose.name
        return self.run(
            f"answers/{part}", model_args=dose.arguments, tasks=[TASK], metrics=["accuracy"], limit=self.items,
            **({"budget": budget} if budget else {}),
        )[1]  # fmt: skip

    def drop(self, dose: Setting) -> Mapping[str, Any]:
        """Return the scores of answers, with those of the drop curve."""
        return self.run(
            f"drop/{dose.name}", model_args=dose.arguments, tasks=[TASK], metrics=["accuracy", "drop_curve"],
            limit=self.items,
        )[1]  # fmt: skip

    def predicted(self, doses: Sequence[Setting]) -> dict[Setting, Predicted]:
        """Return the predictions from the coordinates of the tokens without copies and noise."""
        found: dict[Setting, Predicted] = {}
        for base in dict.fromkeys(dose.base for dose in doses):
            records = list(read_records(self.redundancy(base)[0], "probe"))
            key = next(iter(records[0].scores))
            arrays, clusters = unique_images(records, [record.scores[key] for record in records])
            tokens, pixels = arrays["tokens/connector"][:, 0], arrays["pixels"]
            duplication = Duplication(tokens, pixels, named_protocol(PROTOCOL), clusters)
            found |= {dose: duplication.predict(dose.copies, dose.noise) for dose in doses if dose.base == base}
        return found


def redundancy_table(measure: Measurements, doses: Sequence[Setting]) -> str:
    """Return RS, n_eff_16 and I(Z;X̃), predicted and measured."""
    rows = ["| tokens | copies | noise | RS, simple | RS, predicted | measured | 95 % | n_eff_16, predicted |"
            " measured | 95 % | nats, predicted | measured | flags |", "|---" * 13 + "|"]  # fmt: skip
    predicted = measure.predicted(doses)
    alone = {dose.base: measure.redundancy(dose.base)[1]["rs"]["value"] for dose in doses}
    for dose in doses:
        scores, said = measure.redundancy(dose)[1], predicted[dose]
        rs, few = scores["rs"], scores.get("n_eff_16", {"value": None})
        simple = f"{1 - (1 - alone[dose.base]) / dose.copies:.4f}" if not dose.noise else ""
        nats = rs["detail"]["information_joint"]
        rows.append(
            f"| {dose.tokens} | {dose.copies} | {dose.noise:g} | {simple} | {said.rs:.4f} | {_of(rs, 4)} |"
            f" {said.n_eff_16 or 0:.2f} | {_of(few, 2)} | {said.joint:.1f} | {nats:.1f} | {' '.join(rs['flags'])} |"
        )
    return "\n".join(rows)


def accuracy_table(measure: Measurements, doses: Sequence[Setting]) -> str:
    """Return accuracy of copies, and of one with the noise that an ideal reader is left with."""
    rows = [f"| tokens | copies | noise | accuracy on {TASK}, % | 95 % | of one copy, noise / copies | 95 % |",
            "|---" * 7 + "|"]  # fmt: skip
    for dose in doses:
        measured, one = measure.answers(dose)["acc"], measure.answers(dose.averaged)["acc"]
        rows.append(
            f"| {dose.tokens} | {dose.copies} | {dose.noise:g} | {_of(measured, 1, 100)} | {_of(one, 1, 100)} |"
        )
    return "\n".join(rows)


def drop_table(measure: Measurements, doses: Sequence[Setting]) -> str:
    """Return the drop curve, predicted from accuracy by the number of different tokens, and measured."""
    heads = " | ".join(f"{fraction:g}, predicted | measured" for fraction in FRACTIONS)
    rows = [f"| tokens | copies | {heads} | area, predicted | measured | 95 % | f95, predicted | measured | 95 % |",
            "|---" * (8 + 2 * len(FRACTIONS)) + "|"]  # fmt: skip
    for dose in doses:
        by_count = [measure.answers(dose.base, f"random:k={d}")["acc"]["value"] for d in range(dose.tokens + 1)]
        total = dose.tokens * dose.copies
        kept = [0, *(max(1, round(fraction * total)) for fraction in FRACTIONS), total]
        means = np.array([accuracy_of_copies(by_count, dose.copies, k) for k in kept])
        scores = measure.drop(dose)
        points = {p["fraction"]: p["value"] for p in scores["drop_area"]["detail"]["curve"]
                  if p["policy"] in ("any", "random")}  # fmt: skip
        cells = [
            f"{100 * said:.1f} | {100 * points[part]:.1f}" for said, part in zip(means[1:], FRACTIONS, strict=False)
        ]
        gains = means[1:] - (1 - RETAINED) * means[0] - RETAINED * means[-1]
        rows.append(
            f"| {dose.tokens} | {dose.copies} | {' | '.join(cells)} | {area(means):.3f} |"
            f" {_of(scores['drop_area'], 3)} | {f95(gains):.3f} | {_of(scores['drop_f95'], 3)} |"
        )
    return "\n".join(rows)


def _of(score: Mapping[str, Any], digits: int, factor: float = 1) -> str:
    """Return a score and its interval as two cells."""
    if score["value"] is None:
        return "– | –"
    low, high = score["interval"] or (score["value"],) * 2
    return f"{factor * score['value']:.{digits}f} | {factor * low:.{digits}f} – {factor * high:.{digits}f}"


if __name__ == "__main__":
    main()
