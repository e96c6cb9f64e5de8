"""The model `vtbench` of lmms-eval: `lmms-eval --model vtbench --model_args adapter=llava --tasks ...`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from vtbench_harness.errors import HarnessError
from vtbench_harness.harness_model import HarnessModel
from vtbench_harness.harness_task import Question


class VtbenchModel(HarnessModel, lmms):
    """A vtbench adapter as a model of lmms-eval."""

    is_simple = True

    def task_name(self, request: Instance) -> str:
        """Return the name of a request's task."""
        return str(request.args[4])

    def question(self, request: Instance) -> Question:
        """Return the question of a request; its document is read when the question is asked."""
        prompt, _, doc_to_visual, doc_id, task, split = request.args
        docs = self.task_dict[task][split]

        def fetch() -> tuple[Sequence[Any], Mapping[str, Any]]:
            doc = docs[doc_id]
            return doc_to_visual(doc) or [], doc

        return Question(prompt, fetch)

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refuse: adapters answer single questions."""
        raise HarnessError("a vtbench model is asked one question at a time; it cannot run tasks of several rounds")
