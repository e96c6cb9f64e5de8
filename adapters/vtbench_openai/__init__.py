"""The `openai` adapter: any endpoint that speaks OpenAI's chat completions, as vLLM's server and many others do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from vtbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from vtbench.adapter import Adapter


def openai(
    base_url: str | None = None,
    model: str | None = None,
    concurrency: int = 8,
    retries: int = 5,
    timeout: float = 60,
    key_env: str = "OPENAI_API_KEY",
    image_size: int | None = None,
    probe: str | None = None,
    price_in: float | None = None,
    price_out: float | None = None,
    extra: Mapping[str, Any] | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> Adapter:
    """A model behind an HTTP endpoint: `base_url=http://host:8000/v1,model=NAME`; the key is read from the environment.

    Args:
        base_url: what stands before `/chat/completions`.
        model: the model's name there.
        concurrency: so many requests are on their way at once, at most.
        retries: so often a request is sent again after 408, 425, 429, 5xx, a time-out or a lost connection.
        timeout: seconds that one request may take.
        key_env: the environment variable that holds the key. Only the default one may be missing.
        image_size: side in pixels at which tasks draw their pictures; that of `probe` by default.
        probe: a checkpoint whose visual tokens are looked at, as the endpoint shows none: what the endpoint serves.
        price_in: of a million prompt tokens, to record what a run costs.
        price_out: of a million answer tokens.
        extra: further fields of every request; one of null leaves a field out: `extra={temperature: null}`.
        device: where the probe runs.
        dtype: the probe's number format.

    Raises:
        AdapterError: a setting, the endpoint, the key or the model's name cannot be used; one line that says why.
    """
    from vtbench_openai.adapter import OpenAIAdapter
    from vtbench_openai.probe import Probe
    from vtbench_openai.settings import checked

    settings = checked(
        base_url=base_url,
        model=model,
        concurrency=concurrency,
        retries=retries,
        timeout=timeout,
        key_env=key_env,
        image_size=image_size,
        price_in=price_in,
        price_out=price_out,
        extra=extra or {},
    )
    return OpenAIAdapter(settings, lambda: Probe(probe, device, dtype) if probe else None)


vars(openai)["requires"] = ("httpx2",)


@hookimpl
def vtbench_adapters() -> dict[str, Callable[..., Adapter]]:
    """Offer `openai`."""
    return {"openai": openai}
