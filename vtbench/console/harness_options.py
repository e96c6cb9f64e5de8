"""Words of lm-eval's and lmms-eval's command lines that `vtbench run` takes, or refuses with its own word.

A word is taken only if it means the same here; docs/lm_eval.md goes through them. Underscores are the business of the
command line as a whole: `--model_args` is `--model-args` (`vtbench.cli`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from vtbench.console.options import BARE
from vtbench.console.terminal import warn
from vtbench.errors import VtbenchError, nearest
from vtbench.settings import parse_settings

F = TypeVar("F", bound=Callable[..., Any])
ALIASES: Mapping[str, tuple[str, ...]] = {
    "fewshot": ("--num-fewshot",),
    "system": ("--system-instruction",),
    "cache": ("--use-cache",),
    "output": ("--output-path",),
}
"""By field of the run's settings, options that mean the same."""
REFUSED: Mapping[str, str] = {
    "agentic-trace-mode": "there are no agents here",
    "baseline": "`vtbench compare BASELINE RUN` tests the difference",
    "cache-requests": "questions are made by index and need no cache; --cache DIR keeps answers",
    "check-integrity": "`vtbench validate TASK` checks a task",
    "confirm-run-unsafe-code": "write --allow-code",
    "force-simple": "write --model lmms --model-args force_simple=true",
    "hf-hub-log-args": "nothing is sent to the hub",
    "include-path": "name the task's file: --tasks lm-eval:DIR/task.yaml, or lmms:DIR/task.yaml",
    "launcher-args": "no model judges answers here",
    "log-samples-suffix": "samples.jsonl stands in the run's directory",
    "max-batch-size": "--batch-size auto stops growing where that no longer pays, and halves a batch that does not fit",
    "max-tokens": "write --max-new-tokens N for the length of an answer; nothing limits the sum",
    "metadata": "imported tasks have their settings in their files",
    "num-samples": "write --gen temperature=T,repeats=N",
    "offset": "a run begins with the first sample",
    "process-with-media": "images are always read",
    "reasoning-tags": "the usual marks of reasoning are known (docs/prompts.md)",
    "repeats": "write --gen temperature=T,repeats=N",
    "samples": "write --limit N, or a task file of these rows",
    "show-config": "results.json has every setting of the tasks under `configs`",
    "swanlab-args": "`vtbench ls trackers` lists what --track takes",
    "timezone": "runs carry the local time with its offset",
    "trackio-args": "`vtbench ls trackers` lists what --track takes",
    "trust-remote-code": "write --model-args trust_remote_code=true",
    "verbosity": "`vtbench --debug run` shows tracebacks",
    "wandb-args": "write --track wandb:project=NAME",
    "wandb-config-args": "write --track wandb:project=NAME",
    "wandb-log-samples": "write --track wandb:project=NAME",
    "write-out": "`vtbench show TASK` prints items as a model sees them",
}
"""Options of theirs that have another form here, and what to do instead."""
MULTITURN, THEIRS = "--fewshot-as-multiturn", "--fewshot_as_multiturn"
"""Our switch, and lm-eval's option with a value."""
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_SAME = ("temperature", "top_p", "top_k", "until")


class HarnessCommand(click.Command):
    """`vtbench run`: reads what click does not read as lm-eval does, and warns where one word means two things."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments of the command line."""
        names = [word.partition("=")[0] for word in args]
        theirs = any(name.startswith("--") and "_" in name for name in names)
        if theirs and "--seed" in names:
            warn(
                "--seed draws the items of tasks here; what lm-eval calls so is --fewshot-seed (examples) and "
                "--gen seed=N (answers)"
            )
        return super().parse_args(ctx, _switched(args))


def _switched(args: Sequence[str]) -> list[str]:
    """Return arguments with `--fewshot_as_multiturn true` or `false` as the switch that it is here."""
    found: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name == THEIRS and (equals or (rest and rest[0].lower() in _BOOLEANS)):
            value = (value if equals else rest.pop(0)).lower()
            if value not in _BOOLEANS:
                raise VtbenchError(f"{MULTITURN}: must be true or false, not {value!r}")
            word = MULTITURN if _BOOLEANS[value] else f"--no-{MULTITURN[2:]}"
        found.append(word)
    return found


def harness_options(command: F) -> F:
    """Give `vtbench run` the options of lm-eval that are no second name of one of its own.

    The command receives `gen_kwargs`, a text or None; the others have no effect, or end it.
    """
    options = [
        click.option("--gen-kwargs", metavar="K=V,...", help="lm-eval's word for --gen and --max-new-tokens."),
        _hidden("log-samples", _accept_switch),
        _hidden("apply-chat-template", _accept_template),
        *(_hidden(name, _refusal(cure)) for name, cure in REFUSED.items()),
    ]
    for option in options:
        command = option(command)
    return command


def from_gen_kwargs(text: str) -> dict[str, Any]:
    """Return `gen` and `max_new_tokens` of a run as lm-eval's `--gen_kwargs` give them.

    >>> from_gen_kwargs("max_gen_toks=64,do_sample=true,temperature=0.7,until=[';']")
    {'gen': {'temperature': 0.7, 'until': [';']}, 'max_new_tokens': 64}
    >>> from_gen_kwargs("do_sample=false,num_beams=1,top_k=0")
    {}

    Raises:
        VtbenchError: a key is unknown, or asks for what a run does not do.
    """
    label = "--gen-kwargs"
    given = parse_settings(text, label)
    lengths = [key for key in _LENGTHS if key in given]
    if len(lengths) > 1:
        raise VtbenchError(f"{label}: {' and '.join(lengths)} are one thing; give one of them")
    gen = {key: given[key] for key in _SAME if key in given}
    if gen.get("top_k") in (0, -1):
        del gen["top_k"]  # all tokens
    samples, temperature = given.get("do_sample"), gen.get("temperature")
    if samples is True and not temperature:
        raise VtbenchError(f"{label}: do_sample=true needs a temperature above 0 beside it")
    if samples is False and temperature not in (None, 0):
        raise VtbenchError(f"{label}: do_sample=false is greedy, and temperature={temperature} is not; leave one out")
    if samples not in (None, True, False):
        raise VtbenchError(f"{label}: do_sample must be true or false, not {samples!r}")
    if given.get("num_beams", 1) != 1:
        raise VtbenchError(f"{label}: num_beams={given['num_beams']}: there is no beam search here")
    known = [*_LENGTHS, *_SAME, "do_sample", "num_beams"]
    for key in given:
        if key not in known:
            raise VtbenchError(f"{label}: there is no {key!r} here.{nearest(key, known)}")
    return ({"gen": gen} if gen else {}) | ({"max_new_tokens": given[lengths[0]]} if lengths else {})


def with_gen_kwargs(given: Mapping[str, Any], text: str | None) -> dict[str, Any]:
    """Return the flags of a run with those that `--gen_kwargs` stands for.

    Raises:
        VtbenchError: see `from_gen_kwargs`; or a setting is given in both ways.
    """
    if text is None:
        return dict(given)
    found, own = from_gen_kwargs(text), parse_settings(given.get("gen", ""), "--gen")
    twice = [f"--gen {key}" for key in found.get("gen", {}) if key in own]
    twice += ["--max-new-tokens"] * ("max_new_tokens" in found and "max_new_tokens" in given)
    if twice:
        raise VtbenchError(f"--gen-kwargs sets the same as {twice[0]}; give one of them")
    return {**given, **found, **({"gen": own | found["gen"]} if "gen" in found else {})}


def check_harness_values(given: Mapping[str, Any]) -> None:
    """Refuse values that lm-eval takes for options of the same name, and that mean something else here.

    Raises:
        VtbenchError: the output or the cache is a file, `--batch_size auto:N`, or a list of seeds.
    """
    for key, endings in {"output": (".json", ".jsonl"), "cache": (".db", ".sqlite")}.items():
        path = given.get(key)
        if isinstance(path, str) and path.endswith(endings):
            raise VtbenchError(f"--{key}: {path}: this is a directory here; leave {path[path.rindex('.') :]} out")
    if str(given.get("batch_size", "")).startswith("auto:"):
        raise VtbenchError("--batch-size: `auto` is measured all the time; leave the number behind it out")
    if "," in str(given.get("seed", "")):
        raise VtbenchError(
            f"--seed: {given['seed']}: one number, which draws the items of tasks; lm-eval's last seed is "
            "--fewshot-seed here, and answers are drawn by --gen seed=N"
        )


def _hidden(name: str, callback: Callable[..., None]) -> Callable[[F], F]:
    return click.option(f"--{name}", expose_value=False, hidden=True, is_flag=False, flag_value=BARE, callback=callback)


def _refusal(cure: str) -> Callable[..., None]:
    def refuse(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise VtbenchError(f"{option.opts[0]}: {cure}")

    return refuse


def _accept_switch(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """Accept a switch that is always on."""
    if value not in (None, BARE):
        raise VtbenchError(f"{option.opts[0]}: takes no value, and every run keeps its samples")


def _accept_template(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """Accept that the checkpoint's own chat template is applied, which it always is."""
    if value not in (None, BARE):
        raise VtbenchError(
            f"{option.opts[0]}: the checkpoint's chat template is always applied; another one is "
            "--model-args chat_template=NAME"
        )
