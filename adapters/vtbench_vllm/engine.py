"""vLLM's engine in this process: prompts of token ids and images in, new tokens and log-probabilities out.

The only module that imports vLLM, and only when an engine is created. vLLM logs errors to standard error;
VLLM_LOGGING_LEVEL=INFO in the environment makes it log more.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.adapter import Generation
from vtbench.errors import AdapterError, SampleError
from vtbench.settings import reason
from vtbench_hf.errors import first_line

if TYPE_CHECKING:
    from PIL.Image import Image

_ENVIRONMENT = {"VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
"""Set unless the user's environment has them: vLLM logs to standard output and sends usage statistics by default."""
_DEFAULTS = {"use_tqdm_on_load": False}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Input of the model."""

    tokens: Sequence[int]
    """Token ids with one placeholder for each image, which the engine expands to its number of visual tokens."""
    images: Sequence[Image]
    text: str = ""
    """What the tokens are of."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Output of the model for a prompt."""

    prompt: Sequence[int]
    """Token ids of the prompt, with one placeholder for each visual token."""
    tokens: Sequence[int]
    """Ids of the new tokens, without the end token."""
    finish_reason: str | None = None
    """`stop` or `length`; None where nothing was generated."""
    tokens_out: int = 0
    """Number of new tokens, with the end token."""


def import_vllm() -> Any:
    """Import vLLM and return it.

    Raises:
        ImportError: it is not installed.
        AdapterError: it is, and cannot be imported.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
        from vllm import LLM  # noqa: F401 (the package imports its parts lazily)
    except Exception as error:  # an incompatible torch or torchvision raises errors of any class
        if isinstance(error, ImportError) and error.name == "vllm":
            raise
        raise AdapterError(
            f"vLLM is installed and cannot be imported ({first_line(error)}); see docs/vllm.md"
        ) from error
    return vllm


def engine_device(device: str) -> str:
    """Return the kind of device that the engine runs on: `cpu`, `cuda`, ...

    Raises:
        AdapterError: `device` names another one.
    """
    import_vllm()
    from vllm.platforms import current_platform

    kind = str(current_platform.device_type)
    if device not in ("auto", kind):
        raise AdapterError(
            f"model 'vllm': device: this vLLM runs on {kind or 'no device here'}, not on {device}; CUDA_VISIBLE_DEVICES"
            " selects among several devices"
        )
    return kind


def engine_args_class() -> type:
    """Import vLLM and return its dataclass of the engine's arguments."""
    import_vllm()
    from vllm.engine.arg_utils import EngineArgs

    args: type = EngineArgs
    return args


def check_sampling(generation: Generation) -> None:
    """Refuse settings that vLLM does not take, before anything is loaded: it has bounds of its own.

    Raises:
        AdapterError: names the setting.
    """
    settings = {"temperature": generation.temperature, "top_p": generation.top_p}
    more = {} if generation.top_k is None else {"top_k": generation.top_k}
    try:
        import_vllm().SamplingParams(**settings, **more)
    except ValueError as error:
        raise AdapterError(f"model 'vllm': --gen: {first_line(error)}") from error


class Engine:
    """A running engine."""

    def __init__(self, model: Path, settings: Mapping[str, Any]) -> None:
        """Start it.

        Args:
            model: directory of the checkpoint.
            settings: further fields of EngineArgs.

        Raises:
            AdapterError: it does not start.
        """
        from pydantic import ValidationError

        try:
            with _stdout_to_stderr():
                self._llm = import_vllm().LLM(model=str(model), **{**_DEFAULTS, **settings})
        except ValidationError as error:
            raise AdapterError(f"model 'vllm': the engine refuses its arguments: {reason(error)}") from error
        except Exception as error:  # the model's code, the device and other processes raise errors of any class
            raise AdapterError(f"model 'vllm': the engine does not start: {first_line(error)}") from error

    def generate(
        self, prompts: Sequence[Prompt], max_new_tokens: int, sampling: Sequence[Mapping[str, Any]] = ()
    ) -> list[Completion]:
        """Answer all prompts at once, greedily unless `sampling` says otherwise.

        Args:
            prompts: of one batch.
            max_new_tokens: of an answer at most.
            sampling: settings of vLLM's `SamplingParams` for each prompt.

        Raises:
            SampleError: the engine refuses one of them (too long, a broken image).
            AdapterError: the engine died.
        """
        outputs = self._run(prompts, sampling, max_tokens=max_new_tokens)
        return [
            Completion(output.prompt_token_ids, _without_end_token(first), first.finish_reason, len(first.token_ids))
            for output in outputs
            for first in output.outputs[:1]
        ]

    def score(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[int]]
    ) -> list[tuple[Completion, float]]:
        """Return the log-likelihood of each continuation of its prompt, in nats, with the prompt as the model read it.

        Every continuation is appended to its own copy of the prompt; all of them run at once.

        Raises:
            SampleError, AdapterError: as above.
        """
        extended = [Prompt([*p.tokens, *new], p.images) for p, new in zip(prompts, continuations, strict=True)]
        scored = []
        for output, new in zip(self._run(extended, (), max_tokens=1, prompt_logprobs=0), continuations, strict=True):
            steps = output.prompt_logprobs[-len(new) :]
            total = math.fsum(step[token].logprob for step, token in zip(steps, new, strict=True))
            scored.append((Completion(output.prompt_token_ids[: -len(new)], ()), total))
        return scored

    def close(self) -> None:
        """End the engine's processes and free their memory."""
        self._llm.llm_engine.engine_core.shutdown()
        self._llm.llm_engine.renderer.shutdown()
        del self._llm

    @property
    def facts(self) -> dict[str, Any]:
        """Settings that the engine resolved (`dtype`, `tensor_parallel_size`, ...), as JSON values."""
        config = self._llm.llm_engine.vllm_config
        return {
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "quantization": config.model_config.quantization,
            "max_model_len": config.model_config.max_model_len,
            "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
            "pipeline_parallel_size": config.parallel_config.pipeline_parallel_size,
        }

    def _run(self, prompts: Sequence[Prompt], sampling: Sequence[Mapping[str, Any]], **common: Any) -> list[Any]:
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError

        greedy: dict[str, Any] = {"temperature": 0.0, "detokenize": False, **common}
        kind = import_vllm().SamplingParams
        params: Any = [kind(**{**greedy, **own}) for own in sampling] if sampling else kind(**greedy)
        try:
            outputs: list[Any] = self._llm.generate(
                [_vllm_prompt(prompt) for prompt in prompts], params, use_tqdm=False
            )
        except EngineDeadError as error:
            raise AdapterError(
                "model 'vllm': the engine died; its last messages are above. If it ran out of memory, lower"
                " max_num_seqs or max_model_len; --resume continues the run"
            ) from error
        except (VLLMClientError, ValueError) as error:
            raise SampleError(f"vLLM refuses a prompt or image: {first_line(error)}") from error
        return outputs


def _vllm_prompt(prompt: Prompt) -> dict[str, Any]:
    fields: dict[str, Any] = {"prompt_token_ids": list(prompt.tokens)}
    return fields | {"multi_modal_data": {"image": list(prompt.images)}} if prompt.images else fields


def _without_end_token(completion: Any) -> list[int]:
    """Return the new tokens; the last one is text where a stop text ended the answer."""
    tokens = list(completion.token_ids)
    by_text = isinstance(getattr(completion, "stop_reason", None), str)
    return tokens[:-1] if completion.finish_reason == "stop" and not by_text else tokens


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Let the engine's processes inherit standard error as their standard output, which `--json` reserves."""
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
