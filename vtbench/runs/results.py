"""Scores of a finished run: the content of results.json, and the `RunResult` that `vtbench.run` returns.

The document has the layout of lm-eval's results (`results[task]["acc,none"]`), and every `Score` in full under
`scores`. Equal records give equal documents, byte for byte.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.adapter import PLAIN
from vtbench.config import RunConfig
from vtbench.errors import PluginError, plugin_errors
from vtbench.metric import Metric, reads_texts
from vtbench.runs.provenance import strict
from vtbench.runs.writer import RunWriter
from vtbench.scoring.answers import unusable_shares
from vtbench.types import Observation, Record, Score, Task

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]


def document(
    writer: RunWriter,
    tasks: Sequence[Task],
    metrics: Mapping[str, Mapping[str, Metric]],
    left_out: Mapping[str, Mapping[str, str]],
    predict_only: bool = False,
) -> dict[str, Any]:
    """Compute every score from the stored records, so that a resumed run has the same scores.

    With `predict_only` there are none, and the document says so: `vtbench rescore` computes them.
    `answers` has the shares of answers that were cut or could not be parsed, and `transient` the number of failed
    samples that --resume asks again, both of the tasks that have any. `unobserved` has the metrics that stand on a part
    of the answered samples, with the number of the others and why they could not be observed.

    Raises:
        ResultsError: samples are missing.
    """
    found: dict[str, dict[str, Any]] = {
        part: {} for part in ("results", "configs", "versions", "n-samples", "scores", "left_out", "failed")
    }
    if predict_only:
        found["predict_only"] = True  # type: ignore[assignment]
    metered = writer.run.get("traits", {}).get("metered", True)  # local models report tokens, and none is paid for
    for task in tasks:
        records = writer.records(task.name, len(task))
        answered = [record for record in records if record.error is None]
        computed = _TaskScores.of(answered, metrics[task.name])
        scores = computed.scores
        table: dict[str, Any] = {"alias": task.name}
        for name, (_, score) in scores.items():
            table |= {f"{name},none": score.value, f"{name}_stderr,none": score.stderr}
        found["results"][task.name] = table
        found["configs"][task.name] = {"prompt_format": PLAIN, **task.config()}
        found["versions"][task.name] = task.version
        found["n-samples"][task.name] = {"original": len(task), "effective": len(answered)}
        found["scores"][task.name] = {name: {"metric": by, **asdict(score)} for name, (by, score) in scores.items()}
        found["left_out"][task.name] = dict(left_out[task.name]) | computed.left_out
        found["failed"][task.name] = len(records) - len(answered)
        if transient := sum(record.transient for record in records):
            found.setdefault("transient", {})[task.name] = transient
        if computed.unobserved:
            found.setdefault("unobserved", {})[task.name] = computed.unobserved
        if not predict_only and (unusable := unusable_shares(answered)):
            found.setdefault("answers", {})[task.name] = unusable
        if (spent := _spent(answered)) and (metered or "cost" in spent):
            found.setdefault("spent", {})[task.name] = spent
    result: dict[str, Any] = strict(found)
    return result


def _spent(records: Sequence[Record]) -> dict[str, float]:
    """Return the sums of input tokens, output tokens and cost, for models that report output tokens or cost."""
    sums: dict[str, float] = {}
    for name in ("tokens_in", "tokens_out", "cost"):
        said = [value for record in records if (value := getattr(record, name)) is not None]
        sums |= {name: math.fsum(said) if name == "cost" else sum(said)} if said else {}
    return sums if "tokens_out" in sums or "cost" in sums else {}


def compute_scores(
    label: str, metric: Metric, records: Sequence[Record], observations: Sequence[Observation]
) -> dict[str, Score]:
    """Compute a metric's scores.

    Args:
        label: how an error calls the metric, e.g. `metric 'accuracy'`.
        metric: fitted, if it is to be.
        records: one a sample that did not fail, by index.
        observations: in the order of `records`.

    Raises:
        PluginError: it fails, or returns something else than scores by name.
    """
    with plugin_errors(f"{label}: compute"):
        scores = metric.compute(records, observations)
    if not isinstance(scores, Mapping) or not all(isinstance(name, str) for name in scores):
        raise PluginError(f"{label}: compute returned {type(scores).__name__}; expected a dict of Scores by name")
    for name, score in scores.items():
        if not isinstance(score, Score):
            raise PluginError(f"{label}: compute returned {type(score).__name__} as {name!r}; expected a Score")
    return dict(scores)


@dataclass(frozen=True, slots=True)
class _TaskScores:
    """What the metrics make of a task's answered samples."""

    scores: dict[str, tuple[str, Score]]
    """By name, with the metric; a score name that two metrics use is prefixed by the metric's name."""
    left_out: dict[str, str]
    """Metrics that no sample could serve, with the reason."""
    unobserved: dict[str, dict[str, Any]]
    """Metrics that stand on a part of the samples, with what is known of the others."""

    @classmethod
    def of(cls, records: Sequence[Record], metrics: Mapping[str, Metric]) -> _TaskScores:
        """Compute each metric's scores from the samples that it observed."""
        once = [record for record in records if not record.repeat]
        computed: dict[str, dict[str, Score]] = {}
        left_out: dict[str, str] = {}
        partly: dict[str, dict[str, Any]] = {}
        for name, metric in metrics.items():
            asked = records if reads_texts(metric) else once
            seen = [record for record in asked if name in record.scores]
            lacking = _lacking(name, asked)
            if not seen:
                first = next(iter(lacking["reasons"]), None)
                left_out[name] = f"no sample could be observed: {first}" if first else "no sample was answered"
                continue
            found = compute_scores(f"metric {name!r}", metric, seen, [record.scores[name] for record in seen])
            if not any(score.n or score.flags or score.value is not None for score in found.values()):
                left_out[name] = "none of the samples has what it scores"
                continue
            if lacking["samples"]:
                partly[name] = lacking
                found = {key: _on_a_part(score, lacking) for key, score in found.items()}
            computed[name] = found
        uses = Counter(name for scores in computed.values() for name in scores)
        named = {
            (name if uses[name] == 1 else f"{by}.{name}"): (by, score)
            for by, scores in computed.items()
            for name, score in scores.items()
        }
        return cls(named, left_out, partly)


UNOBSERVED = "unobserved"
"""Flag, and key in the details, of a score that does not stand on all answered samples."""
_REASONS = 3
"""Reasons that are told, the most frequent first; often each names its own sample."""


def _lacking(metric: str, records: Sequence[Record]) -> dict[str, Any]:
    """Return how many records a metric has not observed, of how many, and why: reasons with their numbers."""
    why = [record.unobserved.get(metric, "not stored") for record in records if metric not in record.scores]
    return {"samples": len(why), "of": len(records), "reasons": dict(Counter(why).most_common(_REASONS))}


def _on_a_part(score: Score, lacking: Mapping[str, Any]) -> Score:
    return replace(score, flags=(*score.flags, UNOBSERVED), detail={**score.detail, UNOBSERVED: dict(lacking)})


@dataclass(frozen=True)
class RunResult:
    """A finished run: its directory and its scores."""

    path: Path
    document: Mapping[str, Any]
    """The content of results.json."""
    config: RunConfig

    @property
    def scores(self) -> dict[str, dict[str, Score]]:
        """All scores, by task and name."""
        return {
            task: {name: _score(fields) for name, fields in scores.items()}
            for task, scores in self.document["scores"].items()
        }

    @property
    def failed(self) -> float:
        """Fraction of the samples that failed."""
        counts = self.document["n-samples"].values()
        return sum(self.document["failed"].values()) / max(1, sum(c["original"] for c in counts))

    @property
    def exit_status(self) -> int:
        """0, or 1 if more samples failed than the config allows, or if every metric had to be left out."""
        nothing = any(self.document["left_out"].values()) and not any(self.document["scores"].values())
        return int(self.failed > self.config.max_failed or (nothing and not self.document.get("predict_only")))

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row per score: task, score, value, stderr, low, high, chance, majority, n, flags, metric."""
        rows = []
        for task, scores in self.document["scores"].items():
            for name, s in scores.items():
                low, high = s["interval"] or (None, None)
                rows.append(
                    {"task": task, "score": name, "value": s["value"], "stderr": s["stderr"], "low": low, "high": high}
                    | {"chance": s["chance"], "majority": s["detail"].get("majority"), "n": s["n"]}
                    | {"flags": " ".join(s["flags"]), "metric": s["metric"], "percent": s["percent"]}
                )
        return rows

    def to_frame(self) -> pandas.DataFrame:
        """Return `rows` as a pandas data frame."""
        import pandas

        return pandas.DataFrame(self.rows())

    def _repr_html_(self) -> str:
        from vtbench.console.formatting import asked_as
        from vtbench.report import scores_table

        asked = dict.fromkeys(asked_as(task, self.config.system) for task in self.document["configs"].values())
        return scores_table(self.rows(), f"{self.config.model} · {', '.join(asked)}")


def _score(fields: Mapping[str, Any]) -> Score:
    known = {key: value for key, value in fields.items() if key != "metric"}
    interval = known["interval"]
    return Score(**{**known, "flags": tuple(known["flags"]), "interval": tuple(interval) if interval else None})
