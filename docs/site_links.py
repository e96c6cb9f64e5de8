"""Hooks of mkdocs: files outside docs/ that pages link to become pages or files of the site, below `repository/`.

Pages are read in a checkout and on the site. In a checkout a link leads to the file itself, `../CHANGELOG.md`; the site
has only what lies in docs/. So the hook follows every link out of docs/, adds what it leads to, and rewrites the link.
Markdown becomes a page, source code a page with the code, a directory a page with the names of its files; anything else
is copied. Links that lead nowhere are left, and the strict build refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from os.path import normpath, relpath
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
HOME = "repository"
"""Where files from outside docs/ stand on the site."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])")
FILE_WORKER = "https://unpkg.com/iframe-worker/shim"
"""What the theme would fetch in a browser."""
FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(https?://[^\s\">]+)")
CODE = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".cff": "yaml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside docs/ that a page links to, and those that they link to in turn."""
    waiting = [target for file in files.documentation_pages() for target in targets(f"docs/{file.src_uri}")]
    waiting.append("CHANGELOG.md")
    added = set[str]()
    while waiting:
        path = waiting.pop()
        if path in added or path.startswith("docs/") or not (ROOT / path).exists():
            continue
        added.add(path)
        files.append(added_file(path, config))
        if path.endswith(".md"):
            waiting += targets(path)
    return files


def targets(path: str) -> Iterator[str]:
    """Yield the paths, from the project's root, that a Markdown file links to."""
    for link in LINK.findall((ROOT / path).read_text(encoding="utf-8")):
        yield resolved(path, link)


def resolved(path: str, link: str) -> str:
    """Return the path, from the project's root, that a link of a file leads to."""
    return normpath(PurePosixPath(path).parent / link)


def added_file(path: str, config: MkDocsConfig) -> File:
    """Return a file of the project as a file of the site."""
    found, place = ROOT / path, site_place(path)
    if found.is_dir():
        names = sorted(file.name for file in found.iterdir() if not file.name.startswith((".", "__")))
        text = "\n".join([f"# {path}/", "", "A directory of the repository:", "", *(f"- `{name}`" for name in names)])
        return File.generated(config, place, content=text)
    if found.suffix in CODE:
        code = found.read_text(encoding="utf-8")
        return File.generated(config, place, content=f"# {path}\n\n````{CODE[found.suffix]}\n{code}\n````\n")
    return File.generated(config, place, abs_src_path=str(found))


def site_place(path: str) -> str:
    """Return where a file of the project stands on the site, as a path from docs/."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    page = ".md" if (ROOT / path).is_dir() or PurePosixPath(path).suffix in CODE else ""
    return f"{HOME}/{path}{page}"


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Rewrite a page's links out of docs/, or those of a page that stands outside."""
    place = page.file.src_uri
    path = place.removeprefix(f"{HOME}/") if place.startswith(f"{HOME}/") else f"docs/{place}"

    def rewritten(match: re.Match[str]) -> str:
        target = resolved(path, match[1])
        if not (ROOT / target).exists():
            return match[1]
        return relpath(site_place(target), PurePosixPath(place).parent)

    return LINK.sub(rewritten, markdown)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Take the script that lets search run from a file from the site itself, and not from another host."""
    local = relpath("javascripts/file_worker.js", PurePosixPath(page.file.dest_uri).parent)
    output = output.replace(FILE_WORKER, local)
    if fetched := FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri}: a reader's browser would fetch {fetched[1]}")
    return output
