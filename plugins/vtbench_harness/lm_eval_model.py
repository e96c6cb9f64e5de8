"""The model `vtbench` of lm-eval, which takes the same requests as its `hf-multimodal`."""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from vtbench_harness.errors import HarnessError
from vtbench_harness.harness_model import HarnessModel
from vtbench_harness.harness_task import Question
from vtbench_harness.redundancy_monitor import to_document, to_json_facts

PLACEHOLDER = "<image>"


class VtbenchLM(HarnessModel, LM):
    """A vtbench adapter as a model of lm-eval."""

    MULTIMODAL = True
    tokenizer_name = "vtbench"

    def resolve_device(self, device: str | None) -> str | None:
        """Return None for a CUDA device on a machine without one: lm-eval's default is `cuda:0`."""
        import torch

        return None if device and device.startswith("cuda") and not torch.cuda.is_available() else device

    def task_name(self, request: Instance) -> str:
        """Return the name of a request's task."""
        return str(request.task_name)

    def question(self, request: Instance) -> Question:
        """Return the question of a request, without image placeholders: adapters put images before the text.

        Raises:
            HarnessError: the prompt has not as many placeholders as images.
        """
        text, _, *more = request.args
        images = more[0]["visual"] if more else []
        if text.count(PLACEHOLDER) != len(images):
            raise HarnessError(
                f"task {request.task_name!r}: its prompt has {text.count(PLACEHOLDER)} times {PLACEHOLDER} and "
                f"{len(images)} images"
            )
        return Question(text.replace(PLACEHOLDER, "").strip(), lambda: (images, request.doc))

    def on_answer(self, request: Instance, answer: str) -> None:
        """Give the answer to lm-eval's cache (`--use_cache`)."""
        self.cache_hook.add_partial("generate_until", request.args, answer)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Return the question unchanged: the adapter applies its own chat template.

        Raises:
            HarnessError: there is more than one message: few-shot examples, or a system prompt.
        """
        if len(chat_history) != 1:
            raise HarnessError("a vtbench model is asked one question at a time: no examples and no system prompt")
        return chat_history[0]["content"]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Refuse: adapters have no likelihood of a whole text."""
        raise HarnessError("a vtbench model has no likelihood of a whole text")

    def get_model_info(self) -> dict[str, Any]:
        """Return what lm-eval writes to the `config` of its results: the model's description, and RS by task."""
        return {
            "vtbench_model": to_json_facts(self.server.adapter.describe()),
            "vtbench_redundancy": to_document(self.server.monitors),
        }
