"""The `openai` adapter: a model behind an HTTP endpoint that serves OpenAI chat completions, such as vLLM's server.

Data flow of a batch: samples -> `adapter` -> `request` (JSON fields) -> `endpoint` (HTTP, with `retry` and `errors`)
-> `response` (text, log-likelihoods) -> outputs. `batch_cache` keeps the outcomes of the last batch, and `probe`
computes visual tokens from a local checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl
from vtbench.settings import accepts
from vtbench_openai.arguments import EndpointArguments

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


@accepts(EndpointArguments)
def openai(**arguments: Any) -> Adapter:
    """A model behind an HTTP endpoint: `base_url=http://host:8000/v1,model=NAME`; the key is read from the environment.

    The arguments are the fields of `EndpointArguments`.

    Raises:
        AdapterError: an argument is invalid, the endpoint does not respond, or it refuses the key or the model.
    """
    from vtbench_openai.adapter import OpenAIAdapter
    from vtbench_openai.arguments import api_key, checked_arguments

    settings = checked_arguments(arguments)
    return OpenAIAdapter(settings, api_key(settings))


vars(openai)["requires"] = ("httpx2",)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `openai`."""
    return {"openai": openai}
