"""The program of the worker process: loads a model of lmms-eval and answers requests, as lines of JSON over pipes.

Requests on standard input: first `{"model", "arguments", "force_simple", "device", "dtype"}`, then any number of
`{"samples": [{"messages": [{"role", "content": [{"text"} or {"image": PNG as base64}]}], "seed"}], "max_new_tokens",
"temperature", "top_p", "until"}`. Replies on standard output, a line for each:
`{"facts"}`, then `{"texts"}`; or `{"error": {"kind", "text"}}`. The process exits when its input ends. An interpreter
that has lmms-eval runs this file, so it imports nothing of vtbench.
"""

from __future__ import annotations

import base64
import copy
import inspect
import io
import json
import os
import sys
import traceback
from importlib import metadata
from typing import Any

TASK, SPLIT = "vtbench", "test"
MEDIA = frozenset({"images", "videos", "audios"})


class Refused(Exception):
    """A request that cannot be met, as the `error` of a reply."""

    def __init__(self, kind: str, text: str = "", **more: Any) -> None:
        super().__init__(text)
        self.error = {"kind": kind, "text": text, **more}


class Model:
    """A loaded model, called as lmms-eval's evaluator calls it."""

    def __init__(self, model: str, arguments: dict[str, Any], force_simple: bool, device: str, dtype: str) -> None:
        try:
            from lmms_eval.api.instance import Instance, unwrap_generation_output
            from lmms_eval.models import get_model, list_available_models
        except ImportError as error:
            if not (error.name or "").startswith("lmms_eval"):
                raise  # a dependency of lmms-eval is missing
            raise Refused("missing" if error.name == "lmms_eval" else "old", str(error)) from error
        names = list_available_models(include_aliases=True)
        if model not in names:
            raise Refused("unknown_model", names=names)
        kind = get_model(model, force_simple=force_simple)
        if model == "huggingface":
            patch_auto_model(sys.modules[kind.__module__])
        arguments = {**device_arguments(kind, device, dtype, arguments), **arguments}
        parameters = inspect.signature(kind.__init__).parameters
        takes = [name for name, p in parameters.items() if name != "self" and p.kind is not p.VAR_KEYWORD]
        takes_any = len(takes) + 1 < len(parameters)
        for key in arguments:
            if key not in takes and not takes_any:
                raise Refused("unknown_argument", key, names=takes)
        self.lm = kind(**arguments)
        if model == "huggingface":
            self.lm.processor.__class__ = without_empty_media(type(self.lm.processor))
        self._instance, self._text = Instance, unwrap_generation_output
        self._count = 0

    def facts(self) -> dict[str, Any]:
        """Return the facts that identify the loaded model."""
        model = vars(self.lm).get("_model", vars(self.lm).get("model"))
        size = getattr(getattr(getattr(model, "config", None), "vision_config", None), "image_size", None)
        if isinstance(size, (list, tuple)) and len(set(size)) == 1:
            size = size[0]
        weights = list(model.parameters()) if hasattr(model, "parameters") else []
        return {
            "class": f"{type(self.lm).__module__}.{type(self.lm).__name__}",
            "simple": bool(getattr(self.lm, "is_simple", True)),
            "image_size": size if isinstance(size, int) else None,
            "parameters": sum(weight.numel() for weight in weights) or None,
            "device": str(weights[0].device) if weights else None,
            "dtype": str(weights[0].dtype).replace("torch.", "") if weights else None,
            "versions": versions("lmms-eval", "torch", "transformers"),
        }

    def generate(
        self, samples: list[dict[str, Any]], max_new_tokens: int, temperature: float, top_p: float, until: list[str]
    ) -> list[str]:
        """Answer, greedily at temperature 0. Samples with a seed come one by one.

        The samples become documents of a task. Document numbers are never reused, so whatever a model caches by number
        belongs to the same image.
        """
        docs: dict[int, dict[str, Any]] = {}
        for sample in samples:
            docs[self._count + len(docs)] = document(sample["messages"])
            if sample["seed"] is not None and "torch" in sys.modules:
                sys.modules["torch"].manual_seed(sample["seed"])
        self._count += len(docs)
        self.lm.task_dict[TASK] = {SPLIT: docs}
        settings: dict[str, Any] = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0, "num_beams": 1}
        settings["temperature"] = temperature or 0
        settings.update({"top_p": top_p} if top_p < 1 else {}, **({"until": until} if until else {}))
        requests = [self._request(number, doc, copy.deepcopy(settings)) for number, doc in docs.items()]
        texts = [self._text(output)[0] for output in self.lm.generate_until(requests)]
        if len(texts) != len(samples):
            raise RuntimeError(f"{len(texts)} answers to {len(samples)} questions")
        return texts

    def _request(self, number: int, doc: dict[str, Any], settings: dict[str, Any]) -> Any:
        where = (number, TASK, SPLIT)
        simple = getattr(self.lm, "is_simple", True)
        return self._instance(
            request_type="generate_until",
            arguments=(doc["prompt"], settings, document_images, *where)
            if simple
            else (doc["prompt"], document_messages, settings, *where),
            idx=0,
            metadata={"task": TASK, "doc_id": number, "repeats": 1},
        )


def document(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a chat as a document: `messages` for lmms-eval's chat models, `prompt` and `images` for simple ones."""
    from PIL import Image

    def part(fields: dict[str, str]) -> dict[str, Any]:
        if "text" in fields:
            return {"type": "text", "text": fields["text"]}
        return {"type": "image", "url": Image.open(io.BytesIO(base64.b64decode(fields["image"]))).convert("RGB")}

    chat = [{"role": message["role"], "content": list(map(part, message["content"]))} for message in messages]
    last = chat[-1]["content"]
    return {
        "messages": chat,
        "images": [each["url"] for each in last if each["type"] == "image"],
        "prompt": "".join(each["text"] for each in last if each["type"] == "text"),
    }


def document_images(doc: dict[str, Any]) -> list[Any]:
    """Return a document's images. Models call the function of the first request on every document."""
    return list(doc["images"])


def document_messages(doc: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a document's chat."""
    return [{**message, "content": list(message["content"])} for message in doc["messages"]]


def device_arguments(kind: type, device: str, dtype: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return device and dtype under the model's names for them. lmms-eval's own default is a GPU."""
    parameters = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    devices = [name for name in ("device", "device_map") if name in parameters]
    dtypes = [name for name in ("dtype", "torch_dtype") if name in parameters]
    if dtype != "auto" and not dtypes and not {"dtype", "torch_dtype"} & given.keys():
        raise Refused("no_dtype")
    if devices and device == "auto":
        import torch

        device = "auto" if torch.cuda.is_available() else "cpu"
    chosen = {} if device == "auto" else dict.fromkeys(devices, device)
    return chosen if dtype == "auto" else {**chosen, **dict.fromkeys(dtypes, dtype)}


def patch_auto_model(huggingface: Any) -> None:
    """Let lmms-eval 0.7.3's `huggingface` load image-text checkpoints.

    It looks up their model type among classes, finds none, and falls back to AutoModel, whose models cannot generate.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN

    fallback = huggingface.AutoModel

    class AutoModel:
        @staticmethod
        def from_pretrained(name: str, **settings: Any) -> Any:
            config = AutoConfig.from_pretrained(name, trust_remote_code=settings["trust_remote_code"])
            auto = AutoModelForImageTextToText if config.model_type in KNOWN else fallback
            return auto.from_pretrained(name, **settings)

    huggingface.AutoModel = AutoModel


def without_empty_media(kind: type) -> type:
    """Return a subclass of a processor class that ignores empty lists of media.

    `huggingface` passes `audios=[]` with every image, a keyword that transformers 5 refuses.
    """

    def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        given = {key: value for key, value in keywords.items() if key not in MEDIA or value}
        return kind.__call__(self, *arguments, **given)

    return type(kind.__name__, (kind,), {"__call__": call})


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def error_reply(error: BaseException) -> dict[str, Any]:
    """Return an error in one line, with the file and line that raised it."""
    if isinstance(error, Refused):
        return error.error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = f"{type(error).__name__}: {lines[0] if lines else ''} ({os.path.basename(place.filename)}:{place.lineno})"
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return {"kind": "memory", "text": text}
    if isinstance(error, ModuleNotFoundError):
        return {"kind": "module", "text": text, "module": error.name}
    return {"kind": "failed", "text": text}


def main() -> None:
    """Answer requests until the input ends."""
    # Whatever lmms-eval and its models print goes to standard error: standard output carries replies only.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.pop(0)  # the directory of this file, whose modules must not shadow others
    model: Model | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if model is None:
                model = Model(**request)
                reply: dict[str, Any] = {"facts": model.facts()}
            else:
                reply = {"texts": model.generate(**request)}
        except (Exception, SystemExit) as error:  # a model may raise anything; the parent gets it as a reply
            traceback.print_exc()
            reply = {"error": error_reply(error)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
