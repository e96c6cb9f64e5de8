"""The files that samples are made of: whether one can be read, and a digest that notices when one changes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

CONTENT_BYTES, CONTENT_FILES = 64 << 20, 2000
"""A set of files up to both of these is told apart by its contents, a larger one by sizes and times of change."""
_LFS = b"version https://git-lfs"
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_file(path: Path) -> os.stat_result:
    """Return the facts of a regular file that is not empty; whatever else is there could block whoever opens it.

    Raises:
        OSError: it is not there, is a directory, a pipe, a socket or a device, or is empty; `strerror` says which.
        ValueError: no file can have this name (it contains a zero byte or half a character).
    """
    facts = os.stat(path)
    kind = stat.S_IFMT(facts.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(0, f"is {_KINDS.get(kind, 'no file')}, not a file")
    if not facts.st_size:
        raise OSError(0, "the file is empty")
    return facts


def stand_in(head: bytes) -> str | None:
    """Say what stands in the place of a file, given its first bytes: a git-lfs pointer, a web page; None if nothing.

    >>> stand_in(b"version https://git-lfs.github.com/spec/v1")
    'it is a git-lfs pointer, not the file itself; fetch it with `git lfs pull`'
    """
    if head.startswith(_LFS):
        return "it is a git-lfs pointer, not the file itself; fetch it with `git lfs pull`"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:14].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page, as a failed download leaves one; download it again"
    return None


def digest_files(paths: Iterable[Path], folder: Path) -> str | None:
    """Return what tells these files from changed ones: `16 files, contents 0f3c...`; None if there are no files.

    Few and small files are told apart by their contents, so that a copy of them is the same; many or large ones by
    their sizes and times of change, so that thousands of files take no time to speak of. Files that cannot be read
    count as missing.

    Args:
        paths: the files; repeats count once.
        folder: what the digest's names are relative to, so that a moved folder is the same.
    """
    found: list[tuple[bytes, Path, os.stat_result | None]] = []
    for path in sorted(set(paths)):
        try:
            facts = check_file(path)
        except (OSError, ValueError):
            facts = None
        found.append((os.path.relpath(path, folder).encode("utf-8", "backslashreplace"), path, facts))
    if not found:
        return None
    small = len(found) <= CONTENT_FILES and sum(f.st_size for *_, f in found if f is not None) <= CONTENT_BYTES
    digest = hashlib.sha256()
    for name, path, facts in found:
        value = b"missing" if facts is None else b"%d %d" % (facts.st_size, facts.st_mtime_ns)
        if small and facts is not None:
            try:
                with path.open("rb") as file:
                    value = hashlib.file_digest(file, "sha256").digest()
            except OSError:
                value = b"missing"
        digest.update(b"%d %s %s\n" % (len(name), name, value))
    return f"{len(found)} files, {'contents' if small else 'sizes and times'} {digest.hexdigest()[:32]}"
