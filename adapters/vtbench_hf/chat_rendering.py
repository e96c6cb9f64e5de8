"""A chat in a checkpoint's chat template: which form of content each role takes, what a template refuses or leaves out.

Templates differ in what they take as the content of a message. Those of image-text models take a list of parts from the
user, but some a text from the system and the assistant (Pixtral); those of language models take texts alone. A template
that is given the other form raises an error, or writes a Python list into the prompt, or nothing at all. So each role
is tried once with a made-up message, and every chat is checked after it was rendered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import ref

from vtbench.errors import SampleError
from vtbench.scoring.reasoning import opened_reasoning
from vtbench.types import Message, Role, Sample
from vtbench_hf.errors import first_line

_PROBE = "vtbenchprobe"


class ChatRenderer:
    """Renders chats in a processor's template.

    Args:
        processor: of transformers, with a chat template.
        placeholder: what stands for an image in a text; empty where the processor places the image by itself.
    """

    def __init__(self, processor: Any, placeholder: str) -> None:
        self._processor, self._placeholder = ref(processor), placeholder
        self._takes_parts: dict[tuple[Role, str], bool] = {}

    def render(self, sample: Sample, template_args: Mapping[str, Any]) -> str:
        """Return the prompt of a sample's chat, which ends where the answer begins.

        Raises:
            SampleError: the template refuses the chat, or leaves a message or an image out of it.
        """
        try:
            text = self._apply(sample.messages, template_args)
        except Exception as error:  # a template raises what its author chose, and Jinja and Python add theirs
            raise SampleError(
                f"{sample.id}: the chat template refuses the prompt: {first_line(error)}"
                f"{self._advice(sample, template_args)}"
            ) from error
        # A bare question behind its images is not checked for placeholders: some templates write a mark of their own.
        bare = not sample.system and not sample.examples and not sample.interleaved
        lost = ("the question" if sample.prompt.strip() not in text else None) if bare else self._left_out(sample, text)
        if lost:
            raise SampleError(f"{sample.id}: the chat template leaves out {lost}{self._advice(sample, template_args)}")
        return text

    def _apply(self, messages: Sequence[Message], template_args: Mapping[str, Any]) -> str:
        chat = [{"role": m.role, "content": self._content(m, self._parts_of(m.role, template_args))} for m in messages]
        return self._template(chat, template_args)

    def _template(self, chat: Sequence[Mapping[str, Any]], template_args: Mapping[str, Any]) -> str:
        processor = self._processor()
        assert processor is not None
        text: str = processor.apply_chat_template(chat, add_generation_prompt=True, **template_args)
        return text

    def _content(self, message: Message, parts: bool) -> Any:
        if parts:
            return [
                {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                for part in message.content
            ]
        return "".join(part if isinstance(part, str) else self._placeholder for part in message.content)

    def _parts_of(self, role: Role, template_args: Mapping[str, Any]) -> bool:
        """Return whether a role's content is a list of parts for the template; else it is a text."""
        key = (role, repr(sorted(template_args.items(), key=str)))
        if key not in self._takes_parts:
            if role == "user":
                self._takes_parts[key] = self._is_written(role, True, True, template_args)
            else:
                users = self._parts_of("user", template_args)
                forms = (users, not users)
                self._takes_parts[key] = next(
                    (f for f in forms if self._is_written(role, f, users, template_args)), users
                )
        return self._takes_parts[key]

    def _is_written(self, role: Role, parts: bool, users: bool, template_args: Mapping[str, Any]) -> bool:
        """Return whether the template writes a made-up text of a role, and a placeholder where there is one."""
        image: Any = None
        asked = Message("user", (image, _PROBE if role == "user" else "question"))
        said = Message(role, (_PROBE,))
        chat = {"user": [asked], "system": [said, asked], "assistant": [asked, said, asked]}[role]
        contents = [self._content(m, parts if m.role == role else users) for m in chat]
        try:
            text = self._template(
                [{"role": m.role, "content": content} for m, content in zip(chat, contents, strict=True)], template_args
            )
        except Exception:  # a template that joins texts fails on a list in any way that Jinja has
            return False
        return _PROBE in text and f"'{_PROBE}'" not in text and self._placeholder in text

    def _left_out(self, sample: Sample, text: str) -> str | None:
        """Return what of a chat is not in the rendered text; None where all is."""
        if sample.system.strip() not in text:
            return "the system prompt"
        start = 0
        for example in sample.examples:
            for said in (*example.prompt_texts, example.answer or example.target):
                start = text.find(said.strip(), start)
                if start < 0:
                    return "a few-shot example"
                start += len(said.strip())
        for number, said in enumerate(sample.prompt_texts):
            before, start = start, text.find(said.strip(), start)
            if start < 0:
                return "the question"
            if number and not (self._placeholder and self._placeholder in text[before:start]):
                return "the places of images amid the question, which `number_images` under `data` calls by number"
            start += len(said.strip())
        images = len(sample.images) + sum(len(example.images) for example in sample.examples)
        if self._placeholder and text.count(self._placeholder) != images:
            return f"an image: it writes {text.count(self._placeholder)} placeholders for {images} images"
        return None

    def _advice(self, sample: Sample, template_args: Mapping[str, Any]) -> str:
        """Return what the user can do about a chat that the template does not take."""
        for changed, advice in (
            (replace(sample, system=""), "leave --system out"),
            (replace(sample, multiturn=False), "give --no-fewshot-as-multiturn"),
            (replace(sample, system="", multiturn=False), "leave --system out, and give --no-fewshot-as-multiturn"),
            (replace(sample, system="", examples=()), "leave --system and --fewshot out"),
        ):
            if changed.messages != sample.messages:
                with suppress(Exception):
                    if not self._left_out(changed, self._apply(changed.messages, template_args)):
                        return f"; {advice}"
        return "; choose another with --model-args chat_template=FILE"


def answer_start(sample: Sample, prompt: str) -> str:
    """Return what a rendered prompt has behind the question, where the answer begins."""
    question = sample.prompt_texts[-1].strip()
    return prompt[prompt.rfind(question) + len(question) :] if question in prompt else prompt[-200:]


def opening_of_answer(sample: Sample, prompt: str) -> str:
    """Return the tag with which a prompt opens a block of reasoning for the answer; empty where it opens none."""
    return opened_reasoning(answer_start(sample, prompt))
