"""Samples to the worker, its answers back as outputs; an empty answer is an error, as lmms-eval hides errors so."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from vtbench.errors import AdapterError, OutOfMemory, SampleError, VtbenchError, nearest
from vtbench.runs.provenance import secrets
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_hf.fingerprint import fingerprint
from vtbench_lmms.checkpoint import found
from vtbench_lmms.process import Worker


def start(
    model: str | None,
    python: str | None,
    image_size: int | None,
    force_simple: bool,
    device: str,
    dtype: str,
    model_args: Mapping[str, Any],
) -> LmmsAdapter:
    """Start a worker and load the model in it; see `vtbench_lmms.lmms`."""
    if not model:
        raise AdapterError("--model lmms needs a model of lmms-eval: --model-args model=huggingface,pretrained=DIR")
    arguments = dict(model_args)
    if isinstance(arguments.get("pretrained"), str):
        arguments["pretrained"] = found(arguments["pretrained"])
    worker = Worker(python or sys.executable, secrets(arguments))
    try:
        reply = worker.ask(
            {"model": model, "arguments": arguments, "force_simple": force_simple, "device": device, "dtype": dtype}
        )
        if error := reply.get("error"):
            raise _refusal(model, python, error, worker)
    except BaseException:
        worker.close()
        raise
    return LmmsAdapter(worker, model, str(arguments.get("pretrained", model)), reply["facts"], image_size)


class LmmsAdapter:
    """A model of lmms-eval. It generates; lmms-eval has no right way to ask for log-probabilities or visual tokens."""

    capabilities: frozenset[Capability] = frozenset({"generate"})
    layers: tuple[str, ...] = ()

    def __init__(
        self, worker: Worker, model: str, checkpoint: str, facts: Mapping[str, Any], image_size: int | None
    ) -> None:
        self.image_size: int | None = image_size or facts["image_size"]
        self._worker, self._model, self._checkpoint, self._facts = worker, model, checkpoint, facts

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer greedily, in batches as large as the model's own `batch_size`.

        Raises:
            SampleError: the model failed, or an answer is empty; with the last line that it printed.
        """
        asked = [{"prompt": s.prompt, "images": [_png(image) for image in s.images]} for s in samples]
        reply = self._worker.ask({"samples": asked, "max_new_tokens": max_new_tokens})
        if error := reply.get("error"):
            kind = OutOfMemory if error["kind"] == "memory" else SampleError
            raise kind(f"lmms-eval's {self._model!r} failed: {self._worker.clean(error['text'])}")
        texts = [text.strip() for text in reply["texts"]]
        if not all(texts):
            said = self._worker.printed("; it last printed: ")
            raise SampleError(f"lmms-eval's {self._model!r} gave an empty answer, as its models do on an error{said}")
        return [Output(text=text) for text in texts]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Refuse: lmms-eval's `loglikelihood` returns a mean loss, and few of its models have it."""
        raise AdapterError("--model lmms cannot rank answers")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Refuse: lmms-eval shows none."""
        raise AdapterError("--model lmms gives no visual tokens")

    def describe(self) -> Mapping[str, Any]:
        """Say which model of lmms-eval this is."""
        facts = {key: value for key, value in self._facts.items() if key != "image_size"}
        return {
            "checkpoint": self._checkpoint,
            "fingerprint": fingerprint(Path(self._checkpoint)),
            "lmms_model": self._model,
            **facts,
        }

    def close(self) -> None:
        """End the worker."""
        self._worker.close()


def _png(image: Image) -> str:
    """Encode a picture without loss; it is small and travels once, so speed goes before size."""
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _refusal(model: str, python: str | None, error: Mapping[str, Any], worker: Worker) -> VtbenchError:
    """Turn the worker's reason for not loading a model into one line that says what to do."""
    text = worker.clean(error["text"])
    pip = f"{python} -m pip install" if python else "pip install"
    match error["kind"]:
        case "missing":
            package = "'lmms-eval>=0.7'" if python else "'vtbench[lmms]'"
            return AdapterError(f"--model lmms needs lmms-eval; install it with: {pip} {package}")
        case "old":
            return AdapterError(f"--model lmms needs lmms-eval 0.7 or newer ({text})")
        case "unknown_model":
            return AdapterError(f"lmms-eval has no model {model!r}.{nearest(model, error['names'])}")
        case "unknown_argument":
            return AdapterError(f"lmms-eval's {model!r} takes no argument {text!r}.{nearest(text, error['names'])}")
        case "no_dtype":
            return AdapterError(f"lmms-eval's {model!r} takes no dtype; leave --dtype out")
        case "module":
            module = error["module"]
            return AdapterError(f"lmms-eval's {model!r} needs {module!r}, which is not installed: {pip} {module}")
    return AdapterError(f"lmms-eval's {model!r} cannot be loaded: {text}")
