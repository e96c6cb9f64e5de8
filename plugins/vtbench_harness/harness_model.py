"""What the models `vtbench` of lm-eval and lmms-eval share: their arguments, generation by task, the report of RS."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tqdm import tqdm

from vtbench_harness import hooks
from vtbench_harness.adapter_server import AdapterServer
from vtbench_harness.errors import HarnessError
from vtbench_harness.harness_task import DecodingSettings, HarnessTask, Question
from vtbench_harness.redundancy_monitor import check_output_path, print_redundancy


class HarnessModel:
    """A vtbench adapter as a model of a harness; a subclass also inherits from the harness's model class.

    Args:
        adapter: its name in vtbench.
        batch_size: number of questions per batch; `auto` grows the number while that pays.
        max_batch_size: ignored.
        device: where the model runs; by default the adapter chooses.
        dtype: of its weights.
        redundancy: measure RS.
        redundancy_path: write RS to this file, as JSON.
        **model_args: the adapter's own arguments.
    """

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
        self._redundancy_path = check_output_path(redundancy_path)
        self.server = AdapterServer(adapter, model_args, batch_size, self.resolve_device(device), dtype, redundancy)
        hooks.monitors = self.server.monitors

    def resolve_device(self, device: str | None) -> str | None:
        """Return the device that the adapter gets for the harness's `device`."""
        return device

    def task_name(self, request: Any) -> str:
        """Return the name of a request's task."""
        raise NotImplementedError

    def question(self, request: Any) -> Question:
        """Return the question of a request."""
        raise NotImplementedError

    def on_answer(self, request: Any, answer: str) -> None:
        """Called with each answer as it comes, stop strings applied."""

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Answer requests, task by task, and print the redundancy of each task's visual tokens.

        Raises:
            HarnessError: some questions got no answer, or a task asks for sampling or beams.
        """
        groups: dict[tuple[str, DecodingSettings], list[int]] = defaultdict(list)
        for i, request in enumerate(requests):
            groups[self.task_name(request), DecodingSettings.from_kwargs(request.args[1])].append(i)
        answers: dict[int, str] = {}
        with tqdm(total=len(requests), desc="vtbench", disable=disable_tqdm) as bar:
            for (name, decoding), rows in groups.items():

                def on_text(
                    index: int, text: str, rows: list[int] = rows, decoding: DecodingSettings = decoding
                ) -> None:
                    self.on_answer(requests[rows[index]], decoding.truncate(text))
                    bar.update()

                task = HarnessTask(name, [self.question(requests[i]) for i in rows], decoding.max_new_tokens)
                texts = self.server.generate(task, on_text)
                answers |= {i: decoding.truncate(text) for i, text in zip(rows, texts, strict=True)}
        print_redundancy(self.server.monitors, self._redundancy_path)
        return [answers[i] for i in range(len(requests))]

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Refuse: vtbench's own `rank` has no place in a harness."""
        raise HarnessError("a vtbench model answers only in generated text here; `vtbench run` ranks answers")
