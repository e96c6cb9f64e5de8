"""What the words of a question say of its answer, learnt from other questions of the same task."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vtbench.types import Sample
from vtbench_controls.item_tasks import ItemTasks
from vtbench_controls.symbolic import SymbolicControl, guess

_WORD = re.compile(r"[a-z]+")


class QuestionStatistic:
    """Naive Bayes over the words of a question, of each kind of question and set of choices apart.

    log p(answer | words) ∝ log p(answer) + sum over words w of log p(w present or absent | answer), with Bernoulli
    features and Laplace smoothing (Manning, Raghavan and Schütze, Introduction to Information Retrieval, section
    13.3). It reads questions and answers alone: whatever it has above chance, the questions give away.

    Open questions of a kind all get the answer that is most frequent in training, the first of equals.

    Args:
        train: samples that are not scored.
    """

    def __init__(self, train: Iterable[Sample]) -> None:
        groups: dict[tuple[str, tuple[str, ...]], list[Sample]] = defaultdict(list)
        for sample in train:
            groups[_group(sample)].append(sample)
        self._closed = {group: _NaiveBayes(samples) for group, samples in groups.items() if samples[0].choices}
        self._open = {
            group: Counter(sample.target for sample in samples).most_common(1)[0][0]
            for group, samples in groups.items()
            if not samples[0].choices
        }

    def answer(self, sample: Sample) -> str | None:
        """Return the likeliest answer; None of a kind of question or choices that it has not learnt."""
        model = self._closed.get(_group(sample))
        return self._open.get(_group(sample)) if model is None else model.answer(sample)


class QuestionWords(SymbolicControl):
    """Knows what the words of a question say of its answer in the split `train` of the same task.

    Args:
        tasks: opens the tasks that samples are from.
        train: number of samples to learn from.
    """

    def __init__(self, tasks: ItemTasks, train: int) -> None:
        self._tasks, self._train = tasks, train
        self._learnt: dict[int, QuestionStatistic] = {}

    def answer(self, sample: Sample) -> str:
        """Return the likeliest answer, or a guess about a question of a kind that was not learnt.

        Raises:
            SampleError: the sample's task does not render images itself.
        """
        task = self._tasks.of(sample)
        if id(task) not in self._learnt:
            self._learnt[id(task)] = QuestionStatistic(self.training(sample))
        return self._learnt[id(task)].answer(sample) or guess(sample)

    def training(self, sample: Sample) -> list[Sample]:
        """Return what is learnt for the task of a sample: of another seed where the sample is itself of `train`."""
        task = self._tasks.of(sample)
        others = task.drawn_again("train", task.spec.seed + (task.split == "train"), self._train)
        return [others.draft(index) for index in range(self._train)]


class _NaiveBayes:
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._choices = samples[0].choices
        known = sorted(set().union(*map(_words, samples)))
        self._column: Mapping[str, int] = {word: i for i, word in enumerate(known)}
        counts = Counter(sample.target for sample in samples)
        seen_cw = np.zeros((len(self._choices), len(known)))
        for sample in samples:
            seen_cw[self._choices.index(sample.target), self._columns(sample)] += 1
        total_c = np.array([counts[choice] for choice in self._choices], dtype=float)
        present_cw = (seen_cw + 1) / (total_c[:, None] + 2)
        self._prior_c = np.log(total_c + 1)
        self._absent_c = np.log1p(-present_cw).sum(axis=1)
        self._odds_cw = np.log(present_cw) - np.log1p(-present_cw)

    def _columns(self, sample: Sample) -> list[int]:
        return [self._column[word] for word in _words(sample) if word in self._column]

    def answer(self, sample: Sample) -> str:
        columns = self._columns(sample)
        return self._choices[int((self._prior_c + self._absent_c + self._odds_cw[:, columns].sum(axis=1)).argmax())]


def _group(sample: Sample) -> tuple[str, tuple[str, ...]]:
    return sample.kind, sample.choices


def _words(sample: Sample) -> set[str]:
    return set(_WORD.findall((sample.question or sample.prompt).lower()))
