"""Checks of an adapter with the capability `context`, and of one that draws its answers.

What stands before a question (a system prompt, examples with their answers) must reach the model, in its order, and
leave the question as it is. What an adapter refuses with a `SampleError` is refused rightly, as a chat template without
a system role does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from vtbench.adapter import Adapter, BudgetAdapter
from vtbench.errors import AdapterError, SampleError
from vtbench.testing.checks import Check, CheckFailed, expect
from vtbench.testing.example_budgets import KeepFirst
from vtbench.testing.example_items import array_of, fresh
from vtbench.types import Capability, Output, Sample

SYSTEM = "Look closely before you answer."
REPEATS = 6
"""Answers to one question, some of which should differ where they are drawn."""
Generate = Callable[[Sequence[Sample]], list[Output]]


class ContextChecks:
    """The checks of one adapter.

    Args:
        adapter: gives the adapter.
        generate: asks it as the loop does.
        samples: what it is asked about.
        capabilities: that it declares.
    """

    def __init__(
        self,
        adapter: Callable[[], Adapter],
        generate: Generate,
        samples: Sequence[Sample],
        capabilities: frozenset[Capability],
    ) -> None:
        self._adapter, self._generate = adapter, generate
        self._samples, self._can = samples[:3], capabilities

    def checks(self, known: tuple[str, ...]) -> Iterator[Check]:
        """Yield the checks that apply; they come after those named in `known`."""
        if not {"context", "generate"} <= self._can or len(self._samples) < 3:
            return
        yield Check("a system prompt is part of the prompt that is sent", self._check_system, known)
        yield Check("what stands before a question is forgotten with its call", self._check_forgotten, known)
        if "images" in self._can:
            yield Check("examples are part of the prompt, before the question", self._check_examples, known)
            yield Check("answers after examples do not depend on the batch", self._check_batch, known)
            yield Check("a question may have several images", self._check_images, known)
            if "visual_tokens" in self._can:
                yield Check("visual tokens are those of the question's own image", self._check_visual_tokens, known)
            if "budget" in self._can:
                yield Check("a budget refuses what stands before a question", self._check_budget, known)

    def _bare(self) -> tuple[Sample, ...]:
        return fresh(self._samples)

    def _with_examples(self, multiturn: bool = True) -> Sample:
        *examples, asked = self._bare()
        return replace(asked, examples=tuple(examples), multiturn=multiturn)

    def _check_system(self) -> None:
        bare = self._bare()[0]
        (plain,) = self._generate([bare])
        try:
            (output,) = self._generate([replace(bare, system=SYSTEM)])
        except SampleError as error:
            expect(str(error), "generate refuses a system prompt without a reason; expected one that says why")
            return
        self._expect_in_order(output, [SYSTEM, bare.prompt], bare)
        self._expect_longer(plain, output, "a system prompt")

    def _check_examples(self) -> None:
        bare = self._bare()[-1]
        (plain,) = self._generate([bare])
        for multiturn in (True, False):
            asked = self._with_examples(multiturn)
            try:
                (output,) = self._generate([asked])
            except SampleError:
                continue
            said = [text for one in asked.examples for text in (one.prompt, one.answer or one.target)]
            self._expect_in_order(output, [*said, asked.prompt], asked)
            self._expect_longer(plain, output, "examples")
            ends = [(one.rendered_prompt or "").rpartition(asked.prompt)[2] for one in (plain, output)]
            expect(
                ends[0] == ends[1],
                f"rendered_prompt of {asked.id} ends in {ends[1]!r} behind the question with examples, and in"
                f" {ends[0]!r} without; expected the same",
            )

    def _check_forgotten(self) -> None:
        bare = self._bare()
        before = self._generate(bare)
        try:
            self._generate([replace(sample, system=SYSTEM) for sample in bare])
        except SampleError:
            return
        self._expect_same(before, self._generate(bare), "before a call with a system prompt and after it")

    def _check_batch(self) -> None:
        asked = [self._with_examples(), self._bare()[0], replace(self._with_examples(), examples=self._bare()[:1])]
        try:
            together = self._generate(asked)
        except SampleError:
            return
        alone = [self._generate([sample])[0] for sample in asked]
        self._expect_same(alone, together, "alone and in a batch of other contexts")

    def _check_images(self) -> None:
        one, other, _ = self._bare()
        (single,) = self._generate([one])
        if single.visual_tokens_in == 0:  # it says that it reads no image, as language-only controls do
            return
        (double,) = self._generate([replace(one, images=(*one.images, *other.images))])
        facts = [(each.tokens_in, each.visual_tokens_in, each.rendered_prompt) for each in (single, double)]
        # Not more tokens: LLaVA-OneVision cuts a single image into tiles, and several not.
        expect(facts[0] != facts[1], f"a second image changes nothing of what is sent of {one.id}; expected its tokens")

    def _check_visual_tokens(self) -> None:
        adapter = self._adapter()
        for layer, bare, after in zip(
            adapter.layers,
            adapter.visual_tokens(self._bare()[-1:], adapter.layers),
            adapter.visual_tokens([self._with_examples()], adapter.layers),
            strict=True,
        ):
            tokens = [array_of(each) for each in (bare, after)]
            same = tokens[0].shape == tokens[1].shape and np.allclose(tokens[0], tokens[1], atol=1e-4, rtol=1e-3)
            expect(
                same, f"visual_tokens at {layer!r} differ after examples; expected those of the question's own image"
            )

    def _check_budget(self) -> None:
        adapter = self._adapter()
        assert isinstance(adapter, BudgetAdapter)
        expected = "expected an AdapterError or a SampleError: its tokens are those of several images"
        try:
            adapter.generate([self._with_examples()], 2, KeepFirst(1))
        except (AdapterError, SampleError):
            return
        raise CheckFailed(f"generate accepts a budget with examples before the question; {expected}")

    def _expect_in_order(self, output: Output, texts: Sequence[str], sample: Sample) -> None:
        prompt = output.rendered_prompt
        expect(prompt, f"rendered_prompt of {sample.id} is {prompt!r}; expected what was sent, with `context`")
        start = 0
        for text in texts:
            found = (prompt or "").find(text.strip(), start)
            expect(
                found >= 0,
                f"rendered_prompt of {sample.id} lacks {text[:40]!r} in its place; expected it there",
            )
            start = found + len(text.strip())

    @staticmethod
    def _expect_longer(short: Output, long: Output, what: str) -> None:
        if short.tokens_in is not None and long.tokens_in is not None:
            more = f"tokens_in is {short.tokens_in} without {what} and {long.tokens_in} with; expected more with"
            expect(long.tokens_in > short.tokens_in, more)

    @staticmethod
    def _expect_same(ones: Sequence[Output], others: Sequence[Output], how: str) -> None:
        for one, other in zip(ones, others, strict=True):
            expect(
                one.text == other.text,
                f"generate gives {one.text!r} and {other.text!r} {how}; expected the same",
            )


def sampling_checks(make: Callable[[], Adapter], samples: Sequence[Sample], new_tokens: int) -> Iterator[Check]:
    """Yield the checks of an adapter that draws its answers.

    Args:
        make: makes the adapter with a temperature above 0.
        samples: what it is asked about.
        new_tokens: of an answer at most.
    """

    def texts(adapter: Adapter, asked: Sequence[Sample], size: int) -> list[str | None]:
        parts = [asked[i : i + size] for i in range(0, len(asked), size)]
        return [output.text for part in parts for output in adapter.generate(part, new_tokens)]

    def check() -> None:
        adapter = make()
        try:
            asked = [replace(one, repeat=k) for one in fresh(samples[-2:]) for k in range(REPEATS)]
            together, alone = texts(adapter, asked, len(asked)), texts(adapter, asked, 1)
            same = "generate draws other answers in another batch; expected those of seed, sample and repeat"
            expect(together == alone, same)
            streams = len(set(together[:REPEATS])) > 1 or len(set(together[REPEATS:])) > 1
            expect(streams, f"generate draws the answer {together[0]!r} in each of {REPEATS} repeats; expected others")
        finally:
            adapter.close()

    yield Check("answers are drawn by the seed, the sample and the repeat, whatever the batch", check)
