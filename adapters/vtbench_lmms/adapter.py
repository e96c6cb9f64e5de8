"""The adapter: requests to the worker process, outputs from its replies.

An empty answer counts as an error, because models of lmms-eval return one when they catch an exception.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from vtbench.errors import AdapterError, OutOfMemory, SampleError, VtbenchError, nearest
from vtbench.runs.secrets import secrets
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_hf.checkpoint.files import fingerprint
from vtbench_lmms.arguments import LmmsArguments
from vtbench_lmms.worker_process import WorkerProcess


def start(settings: LmmsArguments, model_args: Mapping[str, Any]) -> LmmsAdapter:
    """Start a worker process and load the model in it.

    Args:
        settings: the adapter's own arguments.
        model_args: those of the model, `pretrained` and `batch_size` among them.

    Raises:
        AdapterError: lmms-eval is missing, has no such model, or cannot load it.
    """
    model = settings.model or ""
    worker = WorkerProcess(settings.python or sys.executable, secrets(dict(model_args)))
    try:
        reply = worker.request(
            {
                "model": model,
                "arguments": dict(model_args),
                "force_simple": settings.force_simple,
                "device": settings.device,
                "dtype": settings.dtype,
            }
        )
        if error := reply.get("error"):
            raise _load_error(model, settings.python, error, worker)
    except BaseException:
        worker.close()
        raise
    checkpoint = str(model_args.get("pretrained", model))
    return LmmsAdapter(worker, model, checkpoint, reply["facts"], settings.image_size)


class LmmsAdapter:
    """A model of lmms-eval. It only generates: lmms-eval gives no sums of log-probabilities and no visual tokens."""

    capabilities: frozenset[Capability] = frozenset({"generate"})
    layers: tuple[str, ...] = ()

    def __init__(
        self, worker: WorkerProcess, model: str, checkpoint: str, facts: Mapping[str, Any], image_size: int | None
    ) -> None:
        self.image_size: int | None = image_size or facts["image_size"]
        self._worker, self._model, self._checkpoint, self._facts = worker, model, checkpoint, facts

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer greedily, in batches as large as the model's own `batch_size`.

        Raises:
            SampleError: the model failed, or an answer is empty; the message has the last line that it printed.
            OutOfMemory: the batch does not fit into memory.
        """
        requests = [{"prompt": s.prompt, "images": [_png(image) for image in s.images]} for s in samples]
        reply = self._worker.request({"samples": requests, "max_new_tokens": max_new_tokens})
        if error := reply.get("error"):
            kind = OutOfMemory if error["kind"] == "memory" else SampleError
            raise kind(f"lmms-eval's {self._model!r} failed: {self._worker.redact(error['text'])}")
        texts = [text.strip() for text in reply["texts"]]
        if not all(texts):
            printed = self._worker.last_printed("; it last printed: ")
            raise SampleError(
                f"lmms-eval's {self._model!r} gave an empty answer, as its models do on an error{printed}"
            )
        return [Output(text=text) for text in texts]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Refuse: lmms-eval's `loglikelihood` returns a mean loss, and few of its models have it."""
        raise AdapterError("model 'lmms' cannot rank answers")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Refuse: lmms-eval gives none."""
        raise AdapterError("model 'lmms' gives no visual tokens")

    def describe(self) -> Mapping[str, Any]:
        """Return the facts that identify the model of lmms-eval."""
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
    """Return an image as base64 PNG: lossless, with fast compression rather than a small size."""
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _load_error(model: str, python: str | None, error: Mapping[str, Any], worker: WorkerProcess) -> VtbenchError:
    """Return the error for the worker's reason why it cannot load a model, with what to do about it."""
    text = worker.redact(error["text"])
    pip = f"{python} -m pip install" if python else "pip install"
    match error["kind"]:
        case "missing":
            package = "'lmms-eval>=0.7'" if python else "'vtbench[lmms]'"
            return AdapterError(f"model 'lmms' needs lmms-eval; install it with: {pip} {package}")
        case "old":
            return AdapterError(f"model 'lmms' needs lmms-eval 0.7 or newer ({text})")
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
