"""The model `vtbench` of lm-eval, which takes the same requests as its `hf-multimodal`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from vtbench_harness import hooks, telling
from vtbench_harness.errors import HarnessError
from vtbench_harness.questions import Decoding, Question, Questions
from vtbench_harness.serving import Server

PLACEHOLDER = "<image>"


class VtbenchLM(LM):
    """A vtbench adapter, asked by lm-eval.

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

    MULTIMODAL = True
    tokenizer_name = "vtbench"

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
        self._server = Server(adapter, model_args, batch_size, _there(device), dtype, redundancy)
        hooks.watched = self._server.watches

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answer, task by task, and print the redundancy of each task's pictures."""
        parts: dict[tuple[str, Decoding], list[int]] = defaultdict(list)
        for i, request in enumerate(requests):
            parts[str(request.task_name), Decoding.of(request.args[1])].append(i)
        texts: dict[int, str] = {}
        with tqdm(total=len(requests), desc="vtbench", disable=disable_tqdm) as bar:
            for (task, decoding), rows in parts.items():

                def answered(index: int, text: str, rows: list[int] = rows, decoding: Decoding = decoding) -> None:
                    self.cache_hook.add_partial("generate_until", requests[rows[index]].args, decoding.cut(text))
                    bar.update()

                questions = Questions(task, [_question(requests[i]) for i in rows], decoding.max_new_tokens)
                answers = self._server.answer(questions, answered)
                texts |= {i: decoding.cut(text) for i, text in zip(rows, answers, strict=True)}
        telling.tell(self._server.watches, self._redundancy_path)
        return [texts[i] for i in range(len(requests))]

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Return the question as it is: chat templates are the adapter's own matter.

        Raises:
            HarnessError: there is more than one question: examples, or a system prompt.
        """
        if len(chat_history) != 1:
            raise HarnessError("a vtbench model is asked one question at a time: no examples and no system prompt")
        return chat_history[0]["content"]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Refuse, as `hf-multimodal` does."""
        raise HarnessError("a vtbench model answers only in generated text here; `vtbench run` ranks answers")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Refuse."""
        raise HarnessError("a vtbench model has no likelihood of a whole text")

    def get_model_info(self) -> dict[str, Any]:
        """Return what lm-eval writes into the `config` of its results: which model it was, and RS by task."""
        return {
            "vtbench_model": telling.plain(self._server.adapter.describe()),
            "vtbench_redundancy": telling.document(self._server.watches),
        }


def _there(device: str | None) -> str | None:
    """Return the device if it is one of this machine's: lm-eval says `cuda:0` where nothing was asked for."""
    import torch

    return None if device and device.startswith("cuda") and not torch.cuda.is_available() else device


def _question(request: Instance) -> Question:
    """Read a request: pictures stand before the text, as vtbench's adapters have them."""
    text, _, *more = request.args
    pictures = more[0]["visual"] if more else []
    if text.count(PLACEHOLDER) != len(pictures):
        raise HarnessError(
            f"task {request.task_name!r}: its prompt has {text.count(PLACEHOLDER)} times {PLACEHOLDER} and "
            f"{len(pictures)} pictures"
        )
    return Question(text.replace(PLACEHOLDER, "").strip(), lambda: (pictures, request.doc))
