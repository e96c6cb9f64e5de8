"""The `vllm` adapter: a checkpoint in vLLM's engine in this process, with its vision model beside the engine.

`checkpoint` finds the files, config and processor; `engine` runs vLLM; `vision_model` loads the vision encoder and the
connector of the same checkpoint with transformers, as vLLM exposes no visual tokens; `adapter` joins the three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl
from vtbench.settings import accepts
from vtbench_vllm.arguments import VllmArguments

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


@accepts(VllmArguments, others=True)
def vllm(**arguments: Any) -> Adapter:
    """Any image-text checkpoint in vLLM's engine; all further arguments are the engine's.

    The arguments are the fields of `VllmArguments` and those of vLLM's `EngineArgs`, e.g. `tensor_parallel_size=2`.

    Raises:
        AdapterError: the engine is missing or does not start, or the checkpoint or an argument cannot be used.
    """
    from vtbench_vllm.arguments import checked_arguments
    from vtbench_vllm.engine import Engine, check_sampling, engine_device

    given, engine_settings = checked_arguments(arguments)
    device = engine_device(given.device)
    if given.generation is not None:
        check_sampling(given.generation)
    from vtbench_vllm.adapter import VllmAdapter
    from vtbench_vllm.checkpoint import open_checkpoint
    from vtbench_vllm.vision_model import load_vision_model

    checkpoint = open_checkpoint(
        given.pretrained,
        given.revision,
        given.trust_remote_code,
        given.chat_template,
        engine_settings.get("hf_token"),
        given.chat_template_args,
    )
    engine_settings |= checkpoint.engine_arguments(given.dtype, device)
    vision_model = load_vision_model(checkpoint, device, given.dtype) if given.visual_tokens else None
    try:
        engine = Engine(checkpoint.directory, engine_settings)
        return VllmAdapter(checkpoint, engine, vision_model, device, given.generation)
    except BaseException:
        if vision_model is not None:
            vision_model.close()
        raise


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `vllm`."""
    return {"vllm": vllm}
