"""Report section `token space`: t-SNE panels of a run that had the metric `cues`, with measures of separation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vtbench.report.charts import scatter
from vtbench.runs.reader import read_records
from vtbench_probes.embedding import token_labels, tsne_panel
from vtbench_probes.errors import ProbeError

TOKENS = 600
"""Tokens of a panel; few enough to take no longer than the rest of the report."""


def token_space(path: Path) -> str | None:
    """Return HTML with panels of connector tokens, coloured by object and by colour, for each task with cue scores.

    Returns:
        None where the run has no cue scores, or too few tokens.
    """
    document: dict[str, Any] = json.loads((path / "results.json").read_text(encoding="utf-8"))
    tasks = [name for name, scores in document["scores"].items() if any(s["metric"] == "cues" for s in scores.values())]
    panels = [panel for task in tasks for panel in _panels(path, task)]
    if not panels:
        return None
    intro = "<p>t-SNE of connector tokens. The numbers are from the embedding space, not from the image.</p>"
    heading = '<h2 id="token-space">Token space</h2>'
    charts = f'<div class="charts">{"".join(panels)}</div>'
    return f'<section aria-labelledby="token-space">{heading}{intro}{charts}</section>'


def stored_panel(path: Path, task: str, tokens: int) -> dict[str, Any]:
    """Return the `tsne_panel` of the connector tokens that a run stored of one task.

    Raises:
        ProbeError: there are too few tokens.
    """
    records = sorted(read_records(path, task), key=lambda record: record.index)
    answered = [record for record in records if record.error is None]
    answered = [record for record in answered if not record.repeat]  # the others show the same images
    answered = [record for record in answered if "cues" in record.scores]
    seen = [record.scores["cues"] for record in answered]
    clusters = [record.cluster or record.id for record in answered]
    return tsne_panel(seen, token_labels(seen), clusters=clusters, tokens=tokens)


def separation_caption(numbers: Mapping[str, Any], of: str = "") -> str:
    """Return a caption on how well labels are separated in the embedding space; `of` says what the numbers average.

    >>> separation_caption({"silhouette": 0.33, "purity": 0.86, "chance": 0.288})
    'In the embedding space: silhouette 0.330, share of neighbours alike 0.860 (chance 0.288).'
    """
    if numbers["silhouette"] is None:
        return "One word only: nothing to separate."
    return (
        f"In the embedding space{of}: silhouette {numbers['silhouette']:.3f}, share of neighbours alike "
        f"{numbers['purity']:.3f} (chance {numbers['chance']:.3f})."
    )


def _panels(path: Path, task: str) -> Iterator[str]:
    try:
        panel = stored_panel(path, task, TOKENS)
    except ProbeError:
        return
    points = [(x, y) for x, y in panel["points"]]
    for colouring in ("object", "colour"):
        words = [word or "none" for word in panel["labels"][colouring]]
        yield scatter(f"{task}, by {colouring}", points, words, caption=separation_caption(panel["numbers"][colouring]))
