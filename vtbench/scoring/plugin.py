"""The plugin that brings the metrics of answers. A factory imports its metric when it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.metric import Metric


def accuracy() -> Metric:
    """Share of answers that are exactly right (acc)."""
    from vtbench.scoring.metrics import Accuracy

    return Accuracy()


def rank_accuracy() -> Metric:
    """Share of questions whose right answer is the most likely choice (rank_acc)."""
    from vtbench.scoring.metrics import RankAccuracy

    return RankAccuracy()


def pair_accuracy() -> Metric:
    """Share of minimal pairs with both answers right (pair_acc)."""
    from vtbench.scoring.metrics import PairAccuracy

    return PairAccuracy()


def group_accuracy() -> Metric:
    """Shares of groups, and of the questions, images and pairs in them, with all answers right (group_acc)."""
    from vtbench.scoring.group_metrics import GroupAccuracy

    return GroupAccuracy()


def macro_accuracy() -> Metric:
    """Mean accuracy of the kinds of question, those with slashes level by level (macro_acc)."""
    from vtbench.scoring.group_metrics import MacroAccuracy

    return MacroAccuracy()


def yes_no() -> Metric:
    """F1 of the answer yes, with precision and recall (f1), and how often it is given (yes_share)."""
    from vtbench.scoring.group_metrics import YesNo

    return YesNo()


def repeats() -> Metric:
    """Mean credit of the repeats of a question (mean@k), and share with a right one among them (pass@k)."""
    from vtbench.scoring.repeats import Repeats

    return Repeats()


def scene_graph() -> Metric:
    """F1 of a scene description over objects, attributes and relations (tuple_f1 and its parts)."""
    from vtbench.scoring.graph_metric import SceneGraph

    return SceneGraph()


def psychometric() -> Metric:
    """Offset at which 75 % of the answers about the order of two objects are right (threshold_75)."""
    from vtbench.scoring.offset_metric import Psychometric

    return Psychometric()


@hookimpl
def vtbench_flags() -> dict[str, str]:
    """Return what the flags of answer metrics and of the statistics mean."""
    from vtbench.scoring.flags import FLAGS

    return FLAGS


@hookimpl
def vtbench_scores() -> dict[str, str]:
    """Return what the scores of answer metrics are."""
    from vtbench.scoring.score_meanings import SCORES

    return SCORES


@hookimpl
def vtbench_metrics() -> dict[str, Callable[[], Metric]]:
    """Return the metrics of answers."""
    return {
        "accuracy": accuracy,
        "group_accuracy": group_accuracy,
        "macro_accuracy": macro_accuracy,
        "pair_accuracy": pair_accuracy,
        "psychometric": psychometric,
        "rank_accuracy": rank_accuracy,
        "repeats": repeats,
        "scene_graph": scene_graph,
        "yes_no": yes_no,
    }
