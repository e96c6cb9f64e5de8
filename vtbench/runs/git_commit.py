"""The commit of the project in which a run was started, read from git's files by hand.

git itself is not asked: its config belongs to whoever owns the current directory, and makes `git describe`, `git
status` and others run programs (fsmonitor, hooks, filters, pagers, text converters, includes of further configs).
Reading needs neither config nor index, so uncommitted changes are not seen.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"refs/(?!.*\.\.)[^\x00-\x20\x7f~^:?*\[\\]+")
"""Names below refs/ that git takes; none leaves its directory."""
_LONGEST = 4096
"""Bytes that are read of a file with one line."""
_LONGEST_LIST = 1 << 26
"""Bytes that are read of packed-refs."""


def git_commit(directory: Path | None = None) -> str | None:
    """Return the commit that is checked out, as hexadecimal; None outside of git, or before the first commit.

    Args:
        directory: in the project; the current directory by default.
    """
    try:
        start = (directory or Path.cwd()).resolve()
        git = next((found for place in (start, *start.parents) if (found := _git_directory(place))), None)
        if git is None:
            return None
        head = _read(git / "HEAD", _LONGEST).strip()
        # a worktree has a HEAD of its own; the refs are those of the repository that it belongs to
        common = git / (_read(git / "commondir", _LONGEST).strip() or ".")
        if not head.startswith("ref:"):
            return head if _HASH.fullmatch(head) else None
        return _commit_of(head.removeprefix("ref:").strip(), git, common)
    except (OSError, ValueError):  # ValueError: a zero byte in a path
        return None


def _git_directory(place: Path) -> Path | None:
    """Return the git directory of a project's top directory: `.git`, or what the file `.git` of a worktree names."""
    git = place / ".git"
    if git.is_dir():
        return git if (git / "HEAD").is_file() else None
    named = _read(git, _LONGEST).strip()
    return place / named.removeprefix("gitdir:").strip() if named.startswith("gitdir:") else None


def _commit_of(ref: str, git: Path, common: Path) -> str | None:
    if not _REF.fullmatch(ref):
        return None
    for home in (git, common):
        if _HASH.fullmatch(commit := _read(home / ref, _LONGEST).strip()):
            return commit
    for line in _read(common / "packed-refs", _LONGEST_LIST).splitlines():
        commit, _, name = line.partition(" ")
        if name == ref and _HASH.fullmatch(commit):
            return commit
    return None


def _read(path: Path, most: int) -> str:
    """Return the first bytes of a regular file as text; nothing of anything else, which might never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        with path.open("rb") as file:
            return file.read(most).decode("utf-8", errors="replace")
    except OSError:
        return ""
