"""The `vllm` adapter: a checkpoint served by vLLM's engine in this process, its vision half beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtbench.errors import AdapterError
from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


def vllm(
    pretrained: str | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    chat_template: str | None = None,
    visual_tokens: bool = True,
    **engine: Any,
) -> Adapter:
    """Any image-text checkpoint in vLLM's engine; all further arguments are the engine's.

    Args:
        pretrained: directory of a checkpoint in the transformers format, or its name on the hub; the model that ships
            with vtbench by default, `neutral` the one beside it.
        revision: branch, tag or commit on the hub.
        dtype: `auto` (bfloat16 on a GPU, float32 on a CPU), `float32`, `bfloat16` or `float16`.
        device: `auto`, or the kind of device that this vLLM was built for; CUDA_VISIBLE_DEVICES picks among several.
        trust_remote_code: run code that comes with the checkpoint. Off unless asked for.
        chat_template: a Jinja template, or a file that holds one, in place of the processor's.
        visual_tokens: load the vision half of the checkpoint beside the engine, which shows none of its insides;
            `false` saves that memory, and the run has answers only.
        **engine: fields of vLLM's EngineArgs, e.g. `tensor_parallel_size=2`.

    Raises:
        AdapterError: the engine is missing or does not start, or the checkpoint or an argument cannot be used.
    """
    from vtbench_vllm.engine import Engine, arguments, place

    device = place(device)
    settings = arguments({"trust_remote_code": trust_remote_code, **engine})
    if not isinstance(visual_tokens, bool):
        raise AdapterError(f"visual_tokens={visual_tokens} is not a switch: write visual_tokens=false or leave it out")
    from vtbench_vllm.adapter import VllmAdapter
    from vtbench_vllm.checkpoint import open_checkpoint
    from vtbench_vllm.vision import load_half

    checkpoint = open_checkpoint(pretrained, revision, trust_remote_code, chat_template, engine.get("hf_token"))
    settings |= checkpoint.engine_arguments(dtype, device)
    half = load_half(checkpoint, device, dtype) if visual_tokens else None
    try:
        return VllmAdapter(checkpoint, Engine(checkpoint.directory, settings), half, device)
    except BaseException:
        if half is not None:
            half.close()
        raise


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `vllm`."""
    return {"vllm": vllm}
