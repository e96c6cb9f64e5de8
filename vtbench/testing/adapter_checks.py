"""Checks of an adapter: that it does what it declares, for each sample on its own, and changes nothing.

The adapter is asked as the loop asks it, about nine items with 0 to 8 choices: in a batch, alone, in another order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, cast, get_args

import numpy as np

from vtbench.adapter import Adapter, BudgetAdapter, TrainableAdapter
from vtbench.budget import Budget, checked_weights
from vtbench.engine.validation import checked_outputs, checked_visual
from vtbench.errors import AdapterError, PluginError, SampleError, VtbenchError
from vtbench.plugin import KINDS, protocol_members
from vtbench.testing.checks import Check, CheckFailed, expect
from vtbench.testing.context_checks import ContextChecks, sampling_checks
from vtbench.testing.example_budgets import EXAMPLES, Broken, Halves, Impossible, KeepAll, KeepFirst
from vtbench.testing.example_items import ADAPTER_TASKS, array_of, example_samples, facts, fresh
from vtbench.types import Capability, Output, Sample, VisualTokens

NEW_TOKENS = 6
ASKED: tuple[Capability, ...] = ("generate", "rank", "visual_tokens")
"""What the loop asks for, in its order."""
NATS, TOKEN_SHARE = 1e-4, 1e-3
"""What two answers to one question may differ by: log-probabilities in nats, visual tokens as a share of a value."""
UNKNOWN = "nosuchlayer"
DECLARES = "it declares what an adapter must"


def adapter_checks(
    make: Callable[[], Adapter],
    samples: Sequence[Sample] | None = None,
    budgets: Sequence[Budget] = (),
    drawing: Callable[[], Adapter] | None = None,
) -> list[Check]:
    """Return the checks of an adapter: those of every adapter, and those of each capability that it declares.

    It is made once to learn what it can do, and again by the check that compares two; the last check closes it.

    Args:
        make: makes the adapter, with the same settings each time.
        samples: what to ask about, in place of items of the built-in tasks.
        budgets: token budgets to check it under, beside those that every `BudgetAdapter` is checked under.
        drawing: makes the adapter with a temperature above 0, where it takes one.

    Raises:
        VtbenchError: the adapter cannot be made.
    """
    session = _Session(make, samples)
    can = session.capabilities
    checks = [Check(DECLARES, session.check_members)]
    if session.missing:
        return checks
    checks.append(Check("describe() is JSON that names the checkpoint", session.check_description))
    asked = []
    if "generate" in can:
        asked.append(Check("generate returns one text for each sample", session.check_generate))
    if "rank" in can:
        asked.append(Check("rank returns one log-probability for each choice", session.check_rank))
    if "visual_tokens" in can:
        tokens = "visual_tokens returns (samples, tokens, width) at each layer"
        asked.append(Check(tokens, session.check_visual_tokens))
        checks.append(Check("visual_tokens refuses a layer that there is not", session.check_unknown_layer))
    returned = tuple(check.name for check in asked)
    checks += asked
    if "visual_tokens" in can:
        checks.append(Check("visual_tokens places tokens within the image", session.check_boxes, (tokens,)))
        checks.append(Check("images of another size end no run", session.check_other_sizes, (tokens,)))
    if asked:
        again = Check("asked again it answers the same", session.check_repeatable, returned)
        known = (*returned, again.name)
        together = [
            Check("answers come in the order of the samples", session.check_order, known),
            Check("answers do not depend on the batch", session.check_batch, known),
        ]
        unchanged = Check("samples and their images are left as they are", session.check_unchanged, returned)
        checks += [unchanged, again, *together]
        if "budget" in can:
            checks += _budget_checks(session, budgets, known, tuple(check.name for check in together))
        context = ContextChecks(lambda: session.adapter, session.generate, session.samples, can)
        checks += context.checks(known)
        if drawing is not None and "generate" in can:
            checks += sampling_checks(drawing, session.samples, NEW_TOKENS)
        checks.append(Check("made anew it answers the same", session.check_made_anew, known))
    return [*checks, Check("it closes", session.close)]


def _budget_checks(
    session: _Session, budgets: Sequence[Budget], known: tuple[str, ...], together: tuple[str, ...]
) -> Iterator[Check]:
    forgotten = Check("a budget is forgotten with its call", session.check_forgotten, known)
    yield Check("a budget that keeps every token changes nothing", lambda: session.check_whole(budgets), known)
    yield forgotten
    dropped = "tokens that a budget drops do not reach the decoder"
    yield Check(dropped, session.check_token_counts, (DECLARES, *known, forgotten.name))
    for budget in (*EXAMPLES, *budgets):
        name = f"answers do not depend on the batch under the budget {budget.name!r}"
        yield Check(name, lambda budget=budget: session.check_batch_under(budget), (*known, *together))  # type: ignore[misc]
    yield Check("a budget that is broken or cannot be met is refused", session.check_refusal, known)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an adapter says about one sample; None where it is not asked."""

    generate: Output | None = None
    rank: Output | None = None
    visual_tokens: Mapping[str, np.ndarray] | None = None
    """By layer."""


class _Session:
    """The adapter under check. It is made when needed, and asked about fresh copies of the samples each time."""

    def __init__(self, make: Callable[[], Adapter], samples: Sequence[Sample] | None) -> None:
        self._make = make
        self._made: Adapter | None = make()
        self.missing = KINDS["model"].missing_members(self._made)
        declared = getattr(self._made, "capabilities", ())
        known = get_args(Capability)
        self.capabilities = frozenset(name for name in declared if name in known) if _is_set(declared) else frozenset()
        size = getattr(self._made, "image_size", None)
        size = size if isinstance(size, int) and size > 0 else None
        self._samples = example_samples(ADAPTER_TASKS, 3, size) if samples is None else tuple(samples)
        self._asks = [name for name in ASKED if name in self.capabilities]

    @property
    def adapter(self) -> Adapter:
        """The adapter, made anew where it was closed."""
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What the adapter is asked about."""
        return self._samples

    def generate(self, samples: Sequence[Sample]) -> list[Output]:
        """Ask for texts, as the loop does."""
        return self._generate(samples)

    @property
    def label(self) -> str:
        """How an error calls the adapter."""
        return type(self.adapter).__name__

    def close(self) -> None:
        """Close the adapter."""
        if self._made is not None:
            made, self._made = self._made, None
            made.close()

    # What it declares

    def check_members(self) -> None:
        """Fail where a member is missing, or is not what the protocol says."""
        adapter, known = self.adapter, get_args(Capability)
        lacking = [name for name in protocol_members(Adapter) if not hasattr(adapter, name)]
        names = ", ".join(f"`{name}`" for name in lacking)
        expect(not lacking, f"{self.label} lacks {names}; expected all of vtbench.Adapter (BaseAdapter has defaults)")
        can, layers, size = adapter.capabilities, adapter.layers, adapter.image_size
        expect(_is_set(can), f"capabilities is {can!r}; expected a frozenset of {', '.join(known)}")
        unknown = ", ".join(sorted(map(str, set(can) - set(known))))
        expect(not unknown, f"capabilities names {unknown}; expected some of {', '.join(known)}")
        expect(can & {*ASKED}, f"capabilities names nothing to ask for; expected one of {', '.join(ASKED)} at least")
        whole = isinstance(size, int) and not isinstance(size, bool) and size > 0
        expect(size is None or whole, f"image_size is {size!r}; expected a number of pixels, or None")
        named = isinstance(layers, (tuple, list)) and all(isinstance(layer, str) for layer in layers)
        expect(named, f"layers is {layers!r}; expected a tuple of names")
        expect(len(set(layers)) == len(layers), f"layers names one twice: {layers!r}")
        if "visual_tokens" in can:
            first = f"layers is {layers!r}; expected `connector` as the first name"
            expect(layers and layers[0] == "connector", f"{first}, as the capability visual_tokens is declared")
        else:
            expect(not layers, f"layers is {layers!r} without the capability visual_tokens; expected ()")
        if "budget" in can:
            expect(isinstance(adapter, BudgetAdapter), f"{self.label} does not meet vtbench.adapter.BudgetAdapter")
        if "train" in can:
            lacking = [name for name in protocol_members(TrainableAdapter) if not hasattr(adapter, name)]
            names = ", ".join(f"`{name}`" for name in lacking)
            expect(not lacking, f"{self.label} lacks {names}; expected all of TrainableAdapter, as train is declared")

    def check_description(self) -> None:
        """Fail where `describe` cannot be written into run.json."""
        described = self.adapter.describe()
        expect(isinstance(described, Mapping), f"describe() returned a {type(described).__name__}; expected a mapping")
        try:
            json.dumps(dict(described), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise CheckFailed(f"describe() is not JSON: {error}; expected strings, numbers, lists and dicts") from error
        expect(described.get("checkpoint"), "describe() names no `checkpoint`; expected what identifies the weights")

    # What it returns

    def check_generate(self) -> None:
        """Fail where an output has no text, or says what cannot be of its tokens."""
        for sample, output in zip(self._samples, self._generate(fresh(self._samples)), strict=True):
            for name, least in (("tokens_in", 1), ("visual_tokens_in", 0), ("tokens_out", 0), ("cost", 0)):
                value = getattr(output, name)
                number = isinstance(value, (int, float) if name == "cost" else int) and not isinstance(value, bool)
                good = value is None or (number and value >= least)
                expect(good, f"generate: `{name}` of {sample.id} is {value!r}; expected at least {least}, or None")
            reasoning, tokens = output.reasoning_tokens, output.tokens_out
            part = reasoning is None or (reasoning >= 0 and (tokens is None or reasoning <= tokens))
            expect(part, f"generate: `reasoning_tokens` of {sample.id} is {reasoning} of {tokens}; expected a part")
            prompt = output.rendered_prompt
            sent = prompt is None or (
                isinstance(prompt, str) and all(text.strip() in prompt for text in sample.prompt_texts)
            )
            expect(sent, f"generate: `rendered_prompt` of {sample.id} is {_short(prompt)}; expected the question in it")

    def check_rank(self) -> None:
        """Fail where log-probabilities are not numbers at most 0, one for each choice."""
        samples = _closed(fresh(self._samples))
        for sample, output in zip(samples, self._rank(samples), strict=True):
            values, counts = output.logprobs or (), output.logprob_tokens
            kinds = {type(value).__name__ for value in values if not isinstance(value, float)}
            where = f"of sample {sample.id}"
            expect(not kinds, f"rank: logprobs {where} hold {', '.join(kinds)}; expected floats")
            whole = counts is None or all(isinstance(count, int) and count >= 1 for count in counts)
            expect(whole, f"rank: logprob_tokens {where} are {counts}; expected at least one token for each choice")

    def check_visual_tokens(self) -> None:
        """Fail where tokens are not floats of three axes, or layers come in another order than they were asked for."""
        layers = [*self.adapter.layers][::-1]
        for visual in self._visual_tokens(fresh(self._samples), layers).values():
            tokens = visual.tokens[0] if isinstance(visual.tokens, list | tuple) else visual.tokens
            kind = str(getattr(tokens, "dtype", type(tokens).__name__))
            expect("float" in kind, f"visual_tokens: tokens at {visual.layer!r} are of type {kind}; expected floats")
        for layer in layers:
            self._visual_tokens(fresh(self._samples)[:2], [layer])

    def check_boxes(self) -> None:
        """Fail where a token's part of the image is not within it, or has no area."""
        for visual in self._visual_tokens(fresh(self._samples), self.adapter.layers).values():
            each = [visual.boxes_of(row) for row in range(len(self._samples))]
            placed = [np.asarray(boxes) for boxes in each if boxes is not None]
            if not placed:
                continue
            boxes = np.concatenate(placed)
            left, top, right, bottom = boxes.T
            low, high = float(boxes.min()), float(boxes.max())
            where = f"boxes at {visual.layer!r}"
            within = low >= 0 and high <= 1
            expect(within, f"visual_tokens: {where} reach from {low:.4g} to {high:.4g}; expected 0 to 1")
            ordered = (left < right).all() and (top < bottom).all()
            expect(ordered, f"visual_tokens: {where} have no area; expected left < right and top < bottom")

    def check_other_sizes(self) -> None:
        """Fail where visual tokens of images of several sizes are neither as they should be nor a `SampleError`."""
        one, other = fresh(self._samples)[:2]
        width, height = other.images[0].size
        other = replace(other, images=tuple(image.resize((2 * width, height)) for image in other.images))
        for given in ((one, other), (other,)):
            try:
                self._visual_tokens(given, self.adapter.layers)
            except SampleError:
                continue
            except VtbenchError as error:
                told = f"visual_tokens raised {type(error).__name__} for images of several sizes: {error}"
                raise CheckFailed(f"{told}; expected a SampleError, which costs a metric a sample") from error
            except Exception:  # the loop takes it for the failure of a sample
                continue

    def check_unknown_layer(self) -> None:
        """Fail where a layer that is not in `layers` is not refused by its name."""
        expected = "expected an AdapterError that names it, as BaseAdapter.check_layers raises"
        try:
            self.adapter.visual_tokens(fresh(self._samples)[:2], [UNKNOWN])
        except AdapterError as error:
            expect(UNKNOWN in str(error), f"visual_tokens refuses the layer {UNKNOWN!r} without its name; {expected}")
            return
        except Exception as error:
            raise CheckFailed(f"visual_tokens raised {type(error).__name__} for {UNKNOWN!r}; {expected}") from error
        raise CheckFailed(f"visual_tokens accepted the layer {UNKNOWN!r}, which is not in `layers`; {expected}")

    # What its answers depend on

    def check_unchanged(self) -> None:
        """Fail where a method changes a sample that it was given."""
        for name in self._asks:
            samples = fresh(self._samples)
            asked = _closed(samples) if name == "rank" else samples
            before = [facts(sample) for sample in asked]
            self._call(name, asked)
            for sample, then in zip(asked, before, strict=True):
                changed = [key for key, value in facts(sample).items() if value != then[key]]
                what = f"{name} changed `{changed[0] if changed else ''}` of sample {sample.id}"
                expect(not changed, f"{what}; expected to leave samples as they are (work on image.copy())")

    def check_repeatable(self) -> None:
        """Fail where the same question gets two answers."""
        self._expect_same(self._together, self._parts(len(self._samples)), "when asked twice")

    def check_order(self) -> None:
        """Fail where answers of a batch are those of other samples."""
        self._fail_on("order")

    def check_batch(self) -> None:
        """Fail where an answer depends on what else is asked."""
        self._fail_on("batch")

    def check_made_anew(self) -> None:
        """Fail where another adapter of the same settings answers otherwise."""
        first = self._together
        self.close()
        self._expect_same(first, self._parts(len(self._samples)), "from two adapters of the same settings")

    # What a token budget does

    def check_whole(self, budgets: Sequence[Budget]) -> None:
        """Fail where a budget that keeps every token, or None, is another question than none."""
        plain = self._parts(len(self._samples))
        self._expect_same(plain, self._under(None), "without a budget and under None")
        for budget in (KeepAll(), *(budget for budget in budgets if self._keeps_all(budget))):
            what = f"without a budget and under {budget.name!r}, which keeps every token"
            self._expect_same(plain, self._under(budget), what)

    def check_token_counts(self) -> None:
        """Fail where `tokens_in` and `visual_tokens_in` do not shrink by what is dropped."""
        total: int | None = None
        if "visual_tokens" in self.capabilities:
            total = self._visual_tokens(fresh(self._samples)[:1], ["connector"])["connector"].tokens.shape[1]
        none, whole = self._counts(KeepFirst(0)), self._counts(None)
        budgets: list[tuple[Budget | None, int]] = [(KeepFirst(3), 3), (KeepFirst(1), 1), (Halves(), 2)]
        if total is not None:
            budgets = [(budget, min(kept, total)) for budget, kept in budgets] + [(None, total)]
        for budget, kept in budgets:
            found = self._counts(budget) if budget else whole
            how = f"under {budget.name!r}" if budget else "without a budget"
            for one, empty, full in zip(found, none, whole, strict=True):
                where = f"{one.method}: sample {one.sample} has"
                most = f", as many as with all visual tokens; expected {empty.tokens_in} without any, and {kept} more"
                same = one.tokens_in == full.tokens_in and budget and kept != total
                expect(not same, f"{where} tokens_in {one.tokens_in} {how}{most if same else ''}")
                expected = f"expected {empty.tokens_in + kept}: {empty.tokens_in} without any, and {kept} more"
                expect(one.tokens_in == empty.tokens_in + kept, f"{where} tokens_in {one.tokens_in} {how}; {expected}")
                expected = f"expected the {kept} that are kept"
                expect(one.visual == kept, f"{where} visual_tokens_in {one.visual} {how}; {expected}")

    def check_batch_under(self, budget: Budget) -> None:
        """Fail where an answer under a budget depends on what else is asked."""
        whole = self._under(budget)
        for size in (1, 4):
            how = f"in a batch of {size} and in one of {len(whole)} under {budget.name!r}"
            self._expect_same(self._under(budget, size), whole, how)

    def check_forgotten(self) -> None:
        """Fail where a budget has an effect on the next call."""
        before = self._parts(len(self._samples))
        self._under(KeepFirst(1))
        self._expect_same(before, self._parts(len(self._samples)), "before a call under a budget and after it")

    def check_refusal(self) -> None:
        """Fail where a budget's weights are used that are none, or its own error is lost."""
        for budget, error, words in ((Broken(), PluginError, "'broken'"), (Impossible(), VtbenchError, "of 100000")):
            expected = f"expected its {error.__name__} (use vtbench.budget.checked_weights)"
            try:
                self._under(budget)
            except error as raised:
                expect(words in str(raised), f"the error about the budget {budget.name!r} is {raised}; {expected}")
            except Exception as raised:
                other = f"{type(raised).__name__}: {raised}"
                raise CheckFailed(f"the budget {budget.name!r} ends in {other}; {expected}") from raised
            else:
                raise CheckFailed(f"the budget {budget.name!r} is accepted; {expected}")

    # Asking

    def _call(self, name: str, samples: Sequence[Sample]) -> Any:
        """Ask by one method, as the loop does, and check what it returns."""
        if name == "generate":
            return self._generate(samples)
        if name == "rank":
            return self._rank(samples)
        return self._visual_tokens(samples, self.adapter.layers)

    def _generate(self, samples: Sequence[Sample], *budget: Budget | None) -> list[Output]:
        adapter = cast(BudgetAdapter, self.adapter)
        return checked_outputs(adapter.generate(samples, NEW_TOKENS, *budget), samples, "generate", self.label)

    def _rank(self, samples: Sequence[Sample], *budget: Budget | None) -> list[Output]:
        adapter = cast(BudgetAdapter, self.adapter)
        return checked_outputs(adapter.rank(samples, *budget), samples, "rank", self.label) if samples else []

    def _visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> dict[str, VisualTokens]:
        return checked_visual(self.adapter.visual_tokens(samples, layers), samples, layers, self.label)

    def _ask(self, samples: Sequence[Sample], *budget: Budget | None) -> list[_Answer]:
        """Ask one batch for everything; under a budget for answers alone."""
        said: Sequence[Output | None] = [None] * len(samples)
        if "generate" in self.capabilities:
            said = self._generate(samples, *budget)
        ranked: dict[str, Output] = {}
        if "rank" in self.capabilities:
            closed = _closed(samples)
            ranked = {s.id: output for s, output in zip(closed, self._rank(closed, *budget), strict=True)}
        arrays = {}
        if "visual_tokens" in self.capabilities and not budget:
            found = self._visual_tokens(samples, self.adapter.layers)
            arrays = {layer: array_of(visual) for layer, visual in found.items()}
        return [
            _Answer(said[i], ranked.get(sample.id), {layer: array[i] for layer, array in arrays.items()} or None)
            for i, sample in enumerate(samples)
        ]

    def _parts(self, size: int, *budget: Budget | None) -> list[_Answer]:
        samples = fresh(self._samples)
        return [answer for i in range(0, len(samples), size) for answer in self._ask(samples[i : i + size], *budget)]

    def _under(self, budget: Budget | None, size: int | None = None) -> list[_Answer]:
        return self._parts(size or len(self._samples), budget)

    @cached_property
    def _together(self) -> list[_Answer]:
        return self._parts(len(self._samples))

    @cached_property
    def _batches(self) -> dict[str, list[_Answer]]:
        """Answers by how they were asked for, each in the order of the samples."""
        order = np.random.default_rng(0).permutation(len(self._samples)).tolist()
        samples = fresh(self._samples)
        shuffled = dict(zip(order, self._ask(tuple(samples[i] for i in order)), strict=True))
        return {
            "in a batch of 2": self._parts(2),
            "in a batch of 4": self._parts(4),
            f"in a batch of {len(samples)}": self._together,
            "in a batch of another order": [shuffled[i] for i in range(len(samples))],
        }

    @cached_property
    def _alone(self) -> list[_Answer]:
        return self._parts(1)

    def _fail_on(self, kind: Literal["order", "batch"]) -> None:
        for how, answers in self._batches.items():
            for name in self._asks:
                self._fail_on_method(kind, name, how, answers)

    def _fail_on_method(self, kind: str, name: str, how: str, answers: Sequence[_Answer]) -> None:
        """Fail where answers differ from those alone: as a permutation of them (`order`), or otherwise (`batch`)."""
        apart = {i: line for i, one in enumerate(self._alone) if (line := _difference(name, one, answers[i]))}
        if not apart:
            return
        places = self._places(name, answers)
        if (places is not None) != (kind == "order"):
            return
        i = next(iter(apart))
        sample = self._samples[i]
        if places is not None:
            other = self._samples[places[i]]
            raise CheckFailed(
                f"{name} gives the answer to sample {sample.id} in the place of {other.id} {how}; expected one answer "
                "for each sample, in the order of the samples"
            )
        raise CheckFailed(f"{apart[i]} for sample {sample.id} alone and {how}; expected the same (is padding masked?)")

    def _places(self, name: str, answers: Sequence[_Answer]) -> list[int] | None:
        """Return where each sample's answer stands, None where answers are not a permutation of those alone."""
        left, places = list(range(len(answers))), []
        for i, one in enumerate(self._alone):
            here = [j for j in left if not _difference(name, one, answers[j])]
            if not here:
                return None
            places.append(i if i in here else here[0])
            left.remove(places[-1])
        return places

    def _expect_same(self, ones: Sequence[_Answer], others: Sequence[_Answer], how: str) -> None:
        """Fail where answers that were asked for in two ways differ in what both were asked for."""
        for sample, one, other in zip(self._samples, ones, others, strict=True):
            for name in self._asks:
                if getattr(one, name) is None or getattr(other, name) is None:
                    continue
                if apart := _difference(name, one, other):
                    raise CheckFailed(f"{apart} for sample {sample.id} {how}; expected the same answer")

    def _keeps_all(self, budget: Budget) -> bool:
        """Return whether a budget keeps every token of the samples as it is."""
        if "visual_tokens" not in self.capabilities:
            return False
        samples = fresh(self._samples)
        visual = self._visual_tokens(samples, ["connector"])["connector"]
        weights = checked_weights(budget, visual, [sample.id for sample in samples])
        return all(np.array_equal(rows, np.eye(visual.tokens.shape[1])) for rows in weights)

    def _counts(self, budget: Budget | None) -> list[_Count]:
        """Return what every output says of its prompt; with the capability `budget` it must say so."""
        found = []
        for sample, answer in zip(self._samples, self._under(budget), strict=True):
            for method, output in (("generate", answer.generate), ("rank", answer.rank)):
                if output is None:
                    continue
                for name, value in (("tokens_in", output.tokens_in), ("visual_tokens_in", output.visual_tokens_in)):
                    good = isinstance(value, int) and value >= (name == "tokens_in")
                    expect(good, f"{method}: `{name}` of sample {sample.id} is {value!r}; expected a number of tokens")
                found.append(_Count(sample.id, method, output.tokens_in or 0, output.visual_tokens_in or 0))
        return found


@dataclass(frozen=True, slots=True)
class _Count:
    """What an output says of its prompt."""

    sample: str
    method: str
    tokens_in: int
    visual: int


def _is_set(value: object) -> bool:
    return isinstance(value, AbstractSet)


def _closed(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.choices)


def _difference(name: str, one: _Answer, other: _Answer) -> str | None:
    """Say how two answers of one method differ, None where they differ by no more than rounding."""
    mine, theirs = getattr(one, name), getattr(other, name)
    if mine is None or theirs is None:
        return None if mine is theirs else f"{name} gives an answer once and none once"
    if name == "visual_tokens":
        return _token_difference(mine, theirs)
    for field in fields(Output):
        a, b = getattr(mine, field.name), getattr(theirs, field.name)
        if not field.compare or a == b:
            continue
        if field.name == "logprobs" and len(a) == len(b):
            most = max(abs(x - y) for x, y in zip(a, b, strict=True))
            if most > NATS + 1e-6 * max(map(abs, a)):
                return f"{name} gives log-probabilities that differ by {most:.3g}"
        else:
            return f"{name} gives `{field.name}` {_short(a)} and {_short(b)}"
    return None


def _token_difference(mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> str | None:
    for layer, array in mine.items():
        other = theirs[layer]
        if array.shape != other.shape:
            return f"visual_tokens gives shapes {array.shape} and {other.shape} at {layer!r}"
        if not np.allclose(array, other, atol=NATS, rtol=TOKEN_SHARE):
            most = float(np.abs(array.astype(np.float64) - other).max())
            return f"visual_tokens gives values that differ by {most:.3g} at {layer!r}"
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
