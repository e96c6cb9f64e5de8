"""The model `vtbench` of lmms-eval: `lmms-eval --model vtbench --model_args adapter=llava --tasks ...`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from tqdm import tqdm

from vtbench_harness import hooks, telling
from vtbench_harness.errors import HarnessError
from vtbench_harness.questions import Decoding, Question, Questions
from vtbench_harness.serving import Server


class VtbenchModel(lmms):
    """A vtbench adapter, asked by lmms-eval.

    Args:
        adapter: its name in vtbench.
        batch_size: questions at a time; `auto` grows the number while that pays.
        max_batch_size: not used.
        device: where it runs; the adapter's choice by default.
        dtype: of its weights.
        redundancy: measure RS.
        redundancy_path: write RS to this file, as JSON.
        **model_args: the adapter's own arguments.
    """

    is_simple = True

    def __init__(
        self,
        adapter: str = "llava",
        batch_size: int | str = "auto",
        max_batch_size: int | None = None,
        device: str | None = None,
        dtype: str = "auto",
        redundancy: bool = True,
        redundancy_path: str | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__()
        self._redundancy_path = telling.checked(redundancy_path)
        self._server = Server(adapter, model_args, batch_size, device, dtype, redundancy)
        hooks.watched = self._server.watches

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Answer, task by task, and print the redundancy of each task's pictures."""
        parts: dict[tuple[str, Decoding], list[int]] = defaultdict(list)
        for i, request in enumerate(requests):
            parts[request.args[4], Decoding.of(request.args[1])].append(i)
        texts: dict[int, str] = {}
        with tqdm(total=len(requests), desc="vtbench") as bar:
            for (task, decoding), rows in parts.items():
                questions = Questions(task, [self._question(requests[i]) for i in rows], decoding.max_new_tokens)
                answers = self._server.answer(questions, lambda index, text: bar.update())
                texts |= {i: decoding.cut(text) for i, text in zip(rows, answers, strict=True)}
        telling.tell(self._server.watches, self._redundancy_path)
        return [texts[i] for i in range(len(requests))]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Refuse."""
        raise HarnessError("a vtbench model answers only in generated text here; `vtbench run` ranks answers")

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refuse."""
        raise HarnessError("a vtbench model is asked one question at a time; it cannot run tasks of several rounds")

    def _question(self, request: Instance) -> Question:
        prompt, _, doc_to_visual, doc_id, task, split = request.args
        docs = self.task_dict[task][split]

        def fetch() -> tuple[Sequence[Any], Mapping[str, Any]]:
            doc = docs[doc_id]
            return doc_to_visual(doc) or [], doc

        return Question(prompt, fetch)
