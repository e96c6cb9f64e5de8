"""The worker: a model of lmms-eval, asked in lines of JSON on standard input, answering in lines on standard output.

In: first `{"model", "arguments", "force_simple", "device", "dtype"}`, then any number of `{"samples": [{"prompt",
"images": [PNG as base64]}], "max_new_tokens"}`. Out: one line each, `{"facts"}` or `{"texts"}`, or `{"error": {"kind",
"text"}}`. It ends with its input. It is run as a file by an interpreter that has lmms-eval, so it imports nothing of
vtbench.
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
    """What the caller asked for cannot be had."""

    def __init__(self, kind: str, text: str = "", **more: Any) -> None:
        super().__init__(text)
        self.error = {"kind": kind, "text": text, **more}


class Model:
    """A loaded model, asked as lmms-eval's evaluator would ask it."""

    def __init__(self, model: str, arguments: dict[str, Any], force_simple: bool, device: str, dtype: str) -> None:
        try:
            from lmms_eval.api.instance import Instance, unwrap_generation_output
            from lmms_eval.models import get_model, list_available_models
        except ImportError as error:
            if not (error.name or "").startswith("lmms_eval"):
                raise  # something that lmms-eval needs
            raise Refused("missing" if error.name == "lmms_eval" else "old", str(error)) from error
        names = list_available_models(include_aliases=True)
        if model not in names:
            raise Refused("unknown_model", names=names)
        kind = get_model(model, force_simple=force_simple)
        if model == "huggingface":
            mend(sys.modules[kind.__module__])
        arguments = {**placed(kind, device, dtype, arguments), **arguments}
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
        self._asked = 0

    def facts(self) -> dict[str, Any]:
        """Say what was loaded."""
        model = vars(self.lm).get("_model", vars(self.lm).get("model"))
        size = getattr(getattr(getattr(model, "config", None), "vision_config", None), "image_size", None)
        if isinstance(size, (list, tuple)) and len(set(size)) == 1:
            size = size[0]
        weights = list(model.parameters()) if hasattr(model, "parameters") else []
        return {
            "class": f"{type(self.lm).__module__}.{type(self.lm).__name__}",
            "image_size": size if isinstance(size, int) else None,
            "parameters": sum(weight.numel() for weight in weights) or None,
            "device": str(weights[0].device) if weights else None,
            "dtype": str(weights[0].dtype).replace("torch.", "") if weights else None,
            "versions": versions("lmms-eval", "torch", "transformers"),
        }

    def ask(self, samples: list[dict[str, Any]], max_new_tokens: int) -> list[str]:
        """Answer greedily.

        The samples are documents of a task; their numbers never come again, so nothing that a model remembers by
        number is another picture's.
        """
        from PIL import Image

        docs: dict[int, dict[str, Any]] = {}
        for sample in samples:
            pictures = [Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB") for png in sample["images"]]
            docs[self._asked + len(docs)] = {"prompt": sample["prompt"], "images": pictures}
        self._asked += len(docs)
        self.lm.task_dict[TASK] = {SPLIT: docs}
        greedy = {"max_new_tokens": max_new_tokens, "do_sample": False, "temperature": 0, "num_beams": 1}
        requests = [self._request(number, doc, copy.deepcopy(greedy)) for number, doc in docs.items()]
        texts = [self._text(output)[0] for output in self.lm.generate_until(requests)]
        if len(texts) != len(samples):
            raise RuntimeError(f"{len(texts)} answers to {len(samples)} questions")
        return texts

    def _request(self, number: int, doc: dict[str, Any], settings: dict[str, Any]) -> Any:
        where = (number, TASK, SPLIT)
        simple = getattr(self.lm, "is_simple", True)
        return self._instance(
            request_type="generate_until",
            arguments=(doc["prompt"], settings, pictures_of, *where)
            if simple
            else (doc["prompt"], messages_of, settings, *where),
            idx=0,
            metadata={"task": TASK, "doc_id": number, "repeats": 1},
        )


def pictures_of(doc: dict[str, Any]) -> list[Any]:
    """Return a document's pictures: models call the first request's function on every document."""
    return list(doc["images"])


def messages_of(doc: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a document as one message, its pictures first."""
    pictures = [{"type": "image", "url": picture} for picture in doc["images"]]
    return [{"role": "user", "content": [*pictures, {"type": "text", "text": doc["prompt"]}]}]


def placed(kind: type, device: str, dtype: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return device and dtype under the names that a model has for them; lmms-eval's own default is a GPU."""
    parameters = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    places = [name for name in ("device", "device_map") if name in parameters]
    kinds = [name for name in ("dtype", "torch_dtype") if name in parameters]
    if dtype != "auto" and not kinds and not {"dtype", "torch_dtype"} & given.keys():
        raise Refused("no_dtype")
    if places and device == "auto":
        import torch

        device = "auto" if torch.cuda.is_available() else "cpu"
    chosen = {} if device == "auto" else dict.fromkeys(places, device)
    return chosen if dtype == "auto" else {**chosen, **dict.fromkeys(kinds, dtype)}


def mend(huggingface: Any) -> None:
    """Let lmms-eval 0.7.3's `huggingface` load image-text checkpoints.

    It looks for their type among classes, finds none, and takes AutoModel, which makes models that cannot generate.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN

    anything = huggingface.AutoModel

    class AutoModel:
        @staticmethod
        def from_pretrained(name: str, **settings: Any) -> Any:
            config = AutoConfig.from_pretrained(name, trust_remote_code=settings["trust_remote_code"])
            auto = AutoModelForImageTextToText if config.model_type in KNOWN else anything
            return auto.from_pretrained(name, **settings)

    huggingface.AutoModel = AutoModel


def without_empty_media(kind: type) -> type:
    """Return a processor class that is not told of media of which there are none.

    `huggingface` passes `audios=[]` with every picture, a keyword that transformers 5 refuses.
    """

    def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        given = {key: value for key, value in keywords.items() if key not in MEDIA or value}
        return kind.__call__(self, *arguments, **given)

    return type(kind.__name__, (kind,), {"__call__": call})


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of the packages that are there."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def told(error: BaseException) -> dict[str, Any]:
    """Say an error in one line, with the place in lmms-eval that it comes from."""
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
    """Serve until the input ends."""
    # What lmms-eval and its models print goes to standard error, whoever prints it: the channel is for replies alone.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path.pop(0)  # this file's own directory, whose modules are nobody else's business
    model: Model | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if model is None:
                model = Model(**request)
                reply: dict[str, Any] = {"facts": model.facts()}
            else:
                reply = {"texts": model.ask(**request)}
        except (Exception, SystemExit) as error:  # whatever a stranger's model raises, the caller is told
            traceback.print_exc()
            reply = {"error": told(error)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
