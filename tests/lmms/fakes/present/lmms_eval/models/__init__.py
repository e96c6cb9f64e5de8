"""Models by name."""

import os
import signal
import sys

from lmms_eval.api.instance import GenerationResult

print("lmms-eval says hello on standard output")


class Model:
    is_simple = False

    def __init__(self):
        self.task_dict = {}

    def docs(self, requests):
        """Return each request's document and messages, by the first request's function, as lmms-eval's models do."""
        function = requests[0].args[1]
        for request in requests:
            *_, number, task, split = request.args
            yield self.task_dict[task][split][number], function(self.task_dict[task][split][number])

    def answer(self, doc, messages, settings):
        *images, question = messages[0]["content"]
        return f"{len(images)} images, {images[0]['url'].getpixel((0, 0))}, {question['text']}"

    def generate_until(self, requests):
        return [
            GenerationResult(self.answer(doc, messages, request.args[2]))
            for request, (doc, messages) in zip(requests, self.docs(requests), strict=True)
        ]


class Repeating(Model):
    """Says what it was sent: roles and parts of the messages, and the settings."""

    def answer(self, doc, messages, settings):
        shown = [(m["role"], [part.get("text", "<image>") for part in m["content"]]) for m in messages]
        return f"{shown} {sorted(settings.items())}"


class Simple(Model):
    is_simple = True

    def generate_until(self, requests):
        function = requests[0].args[2]
        docs = [self.task_dict[r.args[4]][r.args[5]][r.args[3]] for r in requests]
        return [f"{len(function(doc))} images, {r.args[0]}" for r, doc in zip(requests, docs, strict=True)]


class Mutating(Model):
    """Takes its settings apart."""

    def answer(self, doc, messages, settings):
        return str([settings.pop("max_new_tokens"), settings.pop("temperature"), settings.pop("do_sample")])


class Swallowing(Model):
    """Hides its errors in empty answers."""

    def answer(self, doc, messages, settings):
        if "bad" not in doc["prompt"]:
            return "fine"
        print("Error CUDA is on fire in generating")
        print("Model Responding: 50%|#####     | 1/2 [00:00<00:00, 10.0it/s]", file=sys.stderr)
        return ""


class Raising(Model):
    def answer(self, doc, messages, settings):
        raise ValueError("the processor refuses this\nand says more")


class Hungry(Model):
    def generate_until(self, requests):
        if len(requests) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        return super().generate_until(requests)


class Dying(Model):
    def answer(self, doc, messages, settings):
        print("Segmentation fault in a kernel")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSEGV)


class Short(Model):
    def generate_until(self, requests):
        return super().generate_until(requests)[1:]


class Checkpoint(Model):
    """Has arguments, as models with weights do."""

    def __init__(self, pretrained="org/model", batch_size=1, api_key=""):
        super().__init__()
        if api_key:
            raise RuntimeError(f"wrong key {api_key}")
        self.pretrained = pretrained


class Typed(Model):
    def __init__(self, dtype="auto", **kwargs):
        super().__init__()
        assert kwargs == {}, f"Unexpected kwargs: {kwargs}"
        self.dtype = dtype

    def answer(self, doc, messages, settings):
        return self.dtype


MODELS = {
    "dummy": Model,
    "simple": Simple,
    "repeating": Repeating,
    "mutating": Mutating,
    "swallowing": Swallowing,
    "raising": Raising,
    "hungry": Hungry,
    "dying": Dying,
    "short": Short,
    "checkpoint": Checkpoint,
    "typed": Typed,
    "needing": None,
}


def list_available_models(include_aliases=False):
    return sorted(MODELS)


def get_model(name, force_simple=False):
    if name == "needing":
        import decord_of_no_package  # noqa: F401
    return MODELS[name]
