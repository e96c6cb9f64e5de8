"""Writes to the terminal. Every line that vtbench prints passes here, and no text of others reaches a terminal raw.

Names of tasks and files, messages of errors and the answers of models are data of strangers. An escape sequence among
them would move the cursor, colour the text or write into the clipboard, and a bidirectional control would reorder the
line. Both are shown as their escaped form, and so is every other character that has no glyph. Text is literal: `[red]`
and `:smile:` are no markup.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for tab and line feed; C1 has escape sequences of one character
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"  # bidi, format, tags
    "\ud800-\udfff]"  # lone surrogates, which cannot be encoded
)
LONGEST = 2000
"""Characters of an error's line; a longer one is cut in its middle."""


def visible(text: str) -> str:
    r"""Return text with every character that has no glyph in its escaped form; tabs and line feeds stay.

    >>> print(visible("a\x1b[31mred\u202e"))
    a\x1b[31mred\u202e
    """
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def single_line(text: str) -> str:
    r"""Return text on one line of bounded length: what an error says may quote a whole file.

    >>> single_line("two\n  lines"), len(single_line("x" * 10**6)) <= LONGEST
    ('two lines', True)
    """
    text = " ".join(text.split())
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2 - 20
    return f"{text[:half]} [{len(text) - 2 * half:,} characters] {text[-half:]}"


def say(text: object, err: bool = False) -> None:
    """Print text and a line feed on standard output, or on standard error."""
    import click

    click.echo(visible(str(text)), err=err)


def warn(text: str) -> None:
    """Print one line of warning on standard error."""
    say(f"vtbench: warning: {single_line(text)}", err=True)


def open_console(stderr: bool = False, width: int | None = None) -> Console:
    """Return a console of rich that prints text literally and makes the invisible visible.

    Args:
        stderr: print on standard error.
        width: columns where the output is no terminal; rich's own choice by default.
    """
    console = _console_class()(stderr=stderr, markup=False, emoji=False)
    if width is not None and not console.is_terminal:
        console.width = width
    return console


@cache
def _console_class() -> type[Console]:
    from rich.console import Console

    class LiteralConsole(Console):
        def render_str(self, text: str, **settings: Any) -> Text:
            return super().render_str(visible(text), **settings)  # before a cell's width is measured

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                # the segments of a progress bar that move the cursor are rich's own
                yield segment if segment.control else segment._replace(text=visible(segment.text))

        def on_broken_pipe(self) -> None:
            raise

    return LiteralConsole
