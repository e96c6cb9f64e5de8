"""vLLM's engine in this process: prompts as tokens and pictures in, new tokens and log-probabilities out.

The only module that knows vLLM, which is imported when an engine is wanted. It writes to standard error, and little:
VLLM_LOGGING_LEVEL=INFO in the environment makes it say more.
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

from pydantic import ValidationError

from vtbench.errors import AdapterError, SampleError
from vtbench_hf.memory import first_line
from vtbench_vllm.arguments import checked, reason

if TYPE_CHECKING:
    from PIL.Image import Image

_ENVIRONMENT = {"VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
"""Where the user says nothing else: vLLM's defaults write to standard output, and report its use to its authors."""
_DEFAULTS = {"use_tqdm_on_load": False}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model reads."""

    tokens: Sequence[int]
    """With one placeholder a picture, which the engine replaces by as many as it has visual tokens."""
    images: Sequence[Image]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model says to a prompt."""

    prompt: Sequence[int]
    """The prompt's tokens, one placeholder a visual token."""
    tokens: Sequence[int]
    """The new tokens, without the one that ends them."""


def vllm() -> Any:
    """Import vLLM and return it.

    Raises:
        ImportError: it is not installed.
        AdapterError: it is, and cannot be imported.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
        from vllm import LLM  # noqa: F401 (the package imports its parts when they are asked for)
    except Exception as error:  # a torch or torchvision that does not fit it fails in any way
        if isinstance(error, ImportError) and error.name == "vllm":
            raise
        raise AdapterError(
            f"vLLM is installed and cannot be imported ({first_line(error)}); see docs/vllm.md"
        ) from error
    return vllm


def place(device: str) -> str:
    """Return the kind of device that the engine runs on: `cpu`, `cuda`, ...

    Raises:
        AdapterError: another one is asked for.
    """
    vllm()
    from vllm.platforms import current_platform

    kind = str(current_platform.device_type)
    if device not in ("auto", kind):
        raise AdapterError(
            f"device={device} cannot be used: this vLLM runs on {kind or 'no device here'}, and it picks among several"
            " by itself (CUDA_VISIBLE_DEVICES names those that it may have)"
        )
    return kind


def arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of the engine, checked against vLLM's own list of them.

    Raises:
        AdapterError: there is no such argument, or it takes no such value.
    """
    vllm()
    from vllm.engine.arg_utils import EngineArgs

    return checked(given, EngineArgs)


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
        try:
            with _standard_output_as_error():
                self._llm = vllm().LLM(model=str(model), **{**_DEFAULTS, **settings})
        except ValidationError as error:
            raise AdapterError(f"vLLM's engine refuses its arguments: {reason(error)}") from error
        except Exception as error:  # from the model's code, the device, other processes: of any class
            raise AdapterError(f"vLLM's engine does not start: {first_line(error)}") from error

    def answer(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[Reply]:
        """Answer greedily, all prompts at once.

        Raises:
            SampleError: the engine refuses one of them (too long, a broken picture).
            AdapterError: the engine died.
        """
        said = self._run(prompts, max_tokens=max_new_tokens)
        return [Reply(output.prompt_token_ids, _before_stop(output.outputs[0])) for output in said]

    def score(self, prompts: Sequence[Prompt], tails: Sequence[Sequence[int]]) -> list[tuple[Reply, float]]:
        """Return log p of each tail behind its prompt, in nats, summed over its tokens; and the prompt as read.

        Every tail is read behind its own copy of the prompt, all at once.

        Raises:
            SampleError, AdapterError: as above.
        """
        grown = [Prompt([*p.tokens, *tail], p.images) for p, tail in zip(prompts, tails, strict=True)]
        scored = []
        for output, tail in zip(self._run(grown, max_tokens=1, prompt_logprobs=0), tails, strict=True):
            steps = output.prompt_logprobs[-len(tail) :]
            total = math.fsum(step[token].logprob for step, token in zip(steps, tail, strict=True))
            scored.append((Reply(output.prompt_token_ids[: -len(tail)], ()), total))
        return scored

    def close(self) -> None:
        """End the engine's processes and give back what they hold."""
        self._llm.llm_engine.engine_core.shutdown()
        self._llm.llm_engine.renderer.shutdown()
        del self._llm

    @property
    def facts(self) -> dict[str, Any]:
        """What the engine made of its settings: `dtype`, `tensor_parallel_size`, ..., JSON-able."""
        config = self._llm.llm_engine.vllm_config
        return {
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "quantization": config.model_config.quantization,
            "max_model_len": config.model_config.max_model_len,
            "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
            "pipeline_parallel_size": config.parallel_config.pipeline_parallel_size,
        }

    def _run(self, prompts: Sequence[Prompt], **sampling: Any) -> list[Any]:
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError

        params = vllm().SamplingParams(temperature=0.0, detokenize=False, **sampling)
        try:
            outputs: list[Any] = self._llm.generate([_asked(prompt) for prompt in prompts], params, use_tqdm=False)
        except EngineDeadError as error:
            raise AdapterError(
                "vLLM's engine died; what it said last stands above. If it ran out of memory, a smaller max_num_seqs or"
                " max_model_len helps; --resume goes on from here"
            ) from error
        except (VLLMClientError, ValueError) as error:
            raise SampleError(f"vLLM refuses a prompt or picture: {first_line(error)}") from error
        return outputs


def _asked(prompt: Prompt) -> dict[str, Any]:
    asked: dict[str, Any] = {"prompt_token_ids": list(prompt.tokens)}
    return asked | {"multi_modal_data": {"image": list(prompt.images)}} if prompt.images else asked


def _before_stop(completion: Any) -> list[int]:
    tokens = list(completion.token_ids)
    return tokens[:-1] if completion.finish_reason == "stop" else tokens


@contextmanager
def _standard_output_as_error() -> Iterator[None]:
    """Let the engine's processes inherit standard error as their output: `--json` owns the real one."""
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
