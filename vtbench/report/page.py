"""The frame of every page: a template environment that escapes all values, and the scripts that a body needs.

The content security policy of a page allows these scripts by their hashes; no other script in the page can run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.console.formatting import number, p_text, signed, unobserved_samples

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
LONGEST = 2000
"""Characters of a text on a page."""
NOTE = 100
"""Characters that a text of this length may have more, in which it says how much of it is left out."""
LONGEST_NAME = 200
"""Characters of a name: an id, a kind of question, a cue."""
SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "data-chart": ("vendor/plot.min.js", "script/charts.js"),
    "data-token-map": ("script/token_map.js",),
    "data-samples": ("script/enlarge.js", "script/samples.js"),
}
"""Scripts by the HTML attribute that needs them. A page without these attributes has no script."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script as embedded in a page."""

    text: str
    source: str
    """Its hash, as `script-src` takes it."""


class DataUri(str):
    """An image of ours inside a page: the only text that may be long."""

    __slots__ = ()


def cut(text: str, most: int = LONGEST, rest: str = "") -> str:
    """Return a text of at most about `most` characters, which says how many it lacks.

    Args:
        text: any text of a data file, a model or an error.
        most: characters that stay.
        rest: where the whole text is, e.g. ` in samples.jsonl`.

    >>> cut("abcdef", 4, " in samples.jsonl")
    'abcd… [2 more characters in samples.jsonl]'
    """
    return text if len(text) <= most else f"{text[:most]}… [{len(text) - most:,} more characters{rest}]"


def _shown(value: Any) -> Any:
    """Return a value as a page shows it: a word of 100,000 letters would make the page unusable."""
    if not isinstance(value, str) or hasattr(value, "__html__") or isinstance(value, DataUri):
        return value
    return value if len(value) <= LONGEST + NOTE else cut(value)


def _all_shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _all_shown(item) for key, item in value.items()}
    return [_all_shown(item) for item in value] if isinstance(value, (list, tuple)) else _shown(value)


def _dumps(value: Any, **settings: Any) -> str:
    return json.dumps(_all_shown(value), **settings)


def environment(*packages: str) -> jinja2.Environment:
    """Return a template environment with autoescape: the templates of the report, and those in `packages`.

    A page extends `page.html.jinja`: it fills the blocks `title`, `header`, `main` and `footer`, has the report's
    style, and may embed the charts of `vtbench.report.charts`. The filters `number`, `signed`, `p_text` and
    `unobserved_samples` write as tables do; `tojson` writes data that cannot end the script element that holds it. Both
    cut long texts (`cut`).
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, ".") for name in ("vtbench.report", *packages)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.policies["json.dumps_function"] = _dumps
    environment.filters["number"] = number
    environment.filters["p_text"] = p_text
    environment.filters["signed"] = signed
    environment.filters["unobserved_samples"] = unobserved_samples
    environment.filters["cut"] = cut
    environment.globals["scripts_for"] = scripts_for
    return environment


def scripts_for(body: str) -> list[Script]:
    """Return the scripts that the attributes in `body` need, in the order in which they must run.

    >>> scripts_for("<p>no data-chart here</p>"), len(scripts_for('<div data-chart="line"></div>'))
    ([], 2)
    """
    return [script(HERE / name) for attribute, names in SCRIPTS.items() if f"{attribute}=" in body for name in names]


@cache
def script(path: Path) -> Script:
    """Return a script file as a page embeds it: a page of a plugin passes its own to the template as `own_scripts`."""
    text = path.read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Script(text, f"'sha256-{digest}'")
