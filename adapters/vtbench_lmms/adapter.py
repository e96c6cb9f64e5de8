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

from vtbench.adapter import Generation, Traits, readable_prompt
from vtbench.errors import AdapterError, OutOfMemory, SampleError, VtbenchError, nearest
from vtbench.runs.secrets import secrets
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_hf.answer_text import first_stop
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
    return LmmsAdapter(worker, model, checkpoint, reply["facts"], settings.image_size, settings.generation)


class LmmsAdapter:
    """A model of lmms-eval. It only generates: lmms-eval gives no sums of log-probabilities and no visual tokens.

    A model of its `chat` classes is sent a chat with images where they stand. One of its `simple` classes takes one
    text and a list of images, so it reads nothing before the question.
    """

    layers: tuple[str, ...] = ()
    traits = Traits()

    def __init__(
        self,
        worker: WorkerProcess,
        model: str,
        checkpoint: str,
        facts: Mapping[str, Any],
        image_size: int | None,
        generation: Generation | None = None,
    ) -> None:
        chat: tuple[Capability, ...] = () if facts["simple"] else ("context", "images")
        self.capabilities: frozenset[Capability] = frozenset({"generate", *chat})
        self._generation = generation or Generation()
        self.image_size: int | None = image_size or facts["image_size"]
        self._worker, self._model, self._checkpoint, self._facts = worker, model, checkpoint, facts

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer, greedily unless `--gen` says otherwise, in batches as large as the model's own `batch_size`.

        Answers that are drawn are asked for one by one, each after torch's generator was seeded for it.

        Raises:
            SampleError: the model failed, or an answer is empty; the message has the last line that it printed.
            OutOfMemory: the batch does not fit into memory.
        """
        if any(sample.system or sample.examples for sample in samples) and "context" not in self.capabilities:
            raise SampleError(f"lmms-eval's {self._model!r} is a `simple` model: it reads nothing before the question")
        settings = self._generation
        requests = [self._request(sample) for sample in samples]
        fields = {"max_new_tokens": max_new_tokens, "temperature": settings.temperature, "top_p": settings.top_p}
        parts = [requests] if settings.greedy else [[request] for request in requests]
        whole = [text for part in parts for text in self._texts({"samples": part, **fields, "until": settings.until})]
        stops = [first_stop(text, settings.until) for text in whole]
        texts = [text[:stop].strip() for text, stop in zip(whole, stops, strict=True)]
        if not all(text.strip() for text in whole):
            printed = self._worker.last_printed("; it last printed: ")
            raise SampleError(
                f"lmms-eval's {self._model!r} gave an empty answer, as its models do on an error{printed}"
            )
        return [
            Output(text=text, rendered_prompt=readable_prompt(sample), finish_reason=None if stop is None else "stop")
            for sample, text, stop in zip(samples, texts, stops, strict=True)
        ]

    def _request(self, sample: Sample) -> dict[str, Any]:
        """Return a sample's chat, and the seed of its answer where that is drawn."""
        messages = [
            {
                "role": message.role,
                "content": [
                    {"text": part} if isinstance(part, str) else {"image": _png(part)} for part in message.content
                ],
            }
            for message in sample.messages
        ]
        return {"messages": messages, "seed": None if self._generation.greedy else self._generation.seed_of(sample)}

    def _texts(self, fields: Mapping[str, Any]) -> list[str]:
        reply = self._worker.request(fields)
        if error := reply.get("error"):
            kind = OutOfMemory if error["kind"] == "memory" else SampleError
            raise kind(f"lmms-eval's {self._model!r} failed: {self._worker.redact(error['text'])}")
        texts: list[str] = reply["texts"]
        return texts

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Refuse: lmms-eval's `loglikelihood` returns a mean loss, and few of its models have it."""
        raise AdapterError("model 'lmms' cannot rank answers")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Refuse: lmms-eval gives none."""
        raise AdapterError("model 'lmms' gives no visual tokens")

    def describe(self) -> Mapping[str, Any]:
        """Return the facts that identify the model of lmms-eval."""
        facts = {key: value for key, value in self._facts.items() if key not in ("image_size", "simple")}
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
