"""The command line as a whole: its commands, its exit status, and the one line of an error.

Each command (`vtbench.console.*_commands`, and those of plugins) parses its arguments, makes one library call and
imports its backend when it runs. Exit status: 0 done, 1 more samples failed than allowed (or answers differ with batch
size), 2 bad usage or input, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import select
import sys
import traceback
import warnings
from contextlib import suppress

import click
from click.shell_completion import shell_complete

from vtbench.console import author_commands, ls_commands, run_commands
from vtbench.console.json_document import json_only, send_output_to_errors
from vtbench.console.terminal import say, single_line
from vtbench.errors import VtbenchError, one_line
from vtbench.registry import Registry
from vtbench.runs.secrets import without_secrets


def _hyphens(name: str) -> str:
    """Return an option as it is declared: `--model_args`, as lm-eval writes it, is `--model-args`."""
    return name.replace("_", "-")


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "token_normalize_func": _hyphens,
    }
)
@click.version_option(package_name="vtbench", prog_name="vtbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and of a plugin that cannot be used.")
def app(debug: bool) -> None:
    """What a vision-language model answers, and what its visual tokens carry."""


for _command in (
    run_commands.run,
    ls_commands.ls,
    author_commands.validate,
    author_commands.show,
    author_commands.check,
    run_commands.report,
    run_commands.rescore,
    author_commands.init,
):
    app.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    # What Pillow warns of is a failed sample with its reason, or changes no pixel.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode gets escapes, not an exception
    arguments = sys.argv[1:] if arguments is None else arguments
    ended = status(arguments)
    if "--json" in arguments:
        send_output_to_errors()
    sys.exit(ended)


def status(arguments: list[str] | None = None, registry: Registry | None = None) -> int:
    """Run the command line and return its exit status; `registry` replaces the installed plugins."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        ended = _status(arguments, registry, debug="--debug" in arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_gone():  # the pipe of a subprocess or a connection: not ours to hide
            raise
        return 0
    return ended


def _status(arguments: list[str], registry: Registry | None, debug: bool) -> int:
    try:
        with json_only("--json" in arguments):
            return _invoked(arguments, registry or Registry(debug=debug))
    except (VtbenchError, EOFError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        if debug:
            say(without_secrets("".join(traceback.format_exception(error))).rstrip(), err=True)
        message = _message(error)
    except click.ClickException as error:
        message = error.format_message()
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return 2
        where = getattr(error, "ctx", None)
        message += f" (`{where.command_path} --help` shows the usage)" if where else ""
    except click.exceptions.Exit as exit:
        return exit.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    say(f"vtbench: {single_line(without_secrets(message))}", err=True)
    return 2


def _invoked(arguments: list[str], registry: Registry) -> int:
    """Run the command that the arguments name, of vtbench or of a plugin, and return its exit status."""
    group = click.Group(app.name, dict(app.commands), params=app.params, help=app.help, callback=app.callback)
    group.context_settings, group.no_args_is_help = app.context_settings, True
    registry.commands(group)
    if instruction := os.environ.get("_VTBENCH_COMPLETE"):
        return shell_complete(group, {}, "vtbench", "_VTBENCH_COMPLETE", instruction)
    # not `group.main`, which ends a broken pipe with status 1, and the end of any file with status 130
    with group.make_context("vtbench", list(arguments), obj=registry) as context:
        result = group.invoke(context)
    return result if isinstance(result, int) else 0


def _message(error: BaseException) -> str:
    """Return the line of an error that ends a command: what the operating system refuses is no bug of ours."""
    if isinstance(error, EOFError):
        return f"a file or stream ended before its data did: {one_line(error)}; --debug shows the traceback"
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        return f"{error.filename}: {what}" if error.filename is not None else f"{what}; --debug shows the traceback"
    return str(error)


def _reader_gone() -> bool:
    """Return whether whoever read our output has closed it, as `| head` does; nothing more is then written to it."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream without a descriptor
            watch = select.poll()
            watch.register(stream.fileno(), 0)
            if watch.poll(0):
                gone = True
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes once more when it exits
    return gone
