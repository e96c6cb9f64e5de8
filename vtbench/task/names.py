"""One rule for the names of tasks and of what plugins bring, checked where a name enters.

Names become parts of file names (of a run, an export, a study), of commands and of tables. A name that keeps the rule
stays inside the directory that it is given, on every file system.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from vtbench.errors import VtbenchError

LONGEST = 100
"""Bytes of a name in a file name, where characters outside of ASCII are percent-encoded."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Devices of Windows, with any ending."""
_FORBIDDEN = re.compile(r'[/\\<>:"|?*]')


def check_name(name: object, what: str, error: type[VtbenchError] = VtbenchError) -> str:
    """Return a name that may become a part of a path.

    Args:
        name: to check.
        what: the thing that has it, for the message.
        error: the class of error to raise.

    Raises:
        VtbenchError: of class `error`: says which part of the rule the name breaks.

    >>> check_name("mmmu_val", "task")
    'mmmu_val'
    """
    if problem := _problem(name):
        shown = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:60]}..."
        raise error(f"{what} {shown}: a name {problem}; rename it")
    return str(name)


def _problem(name: object) -> str | None:
    if not isinstance(name, str):
        return f"is a text, not {type(name).__name__}"
    if not name.strip():
        return "is not empty"
    if unprintable := next((c for c in name if not c.isprintable()), None):
        return f"holds printable characters alone, not {unprintable!r}"
    if found := _FORBIDDEN.search(name):
        return f"holds no {found[0]!r}, which paths and commands take for themselves"
    if name[0] in ".-~ " or name[-1] in ". ":
        return "begins with no dot, hyphen, tilde or blank, and ends in no dot or blank"
    if _RESERVED.fullmatch(name):
        return "is no device of Windows"
    if len(quote(name, safe="")) > LONGEST:
        return f"has at most {LONGEST} bytes in a file name (of a letter outside of ASCII, 3 for each byte)"
    return None
