"""What `vtbench init` writes: a working start for an adapter, a metric or a task, that passes its own test."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any

from vtbench.errors import ResultsError, VtbenchError
from vtbench.registry import Registry
from vtbench.runs.disk import disk, write_file

_HERE = Path(__file__).parent
_PACKAGE = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "package.py": "{name}/__init__.py",
    "test.py": "tests/test_{name}.py",
}
"""Where each template of a package goes."""
_KINDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "adapter": {**_PACKAGE, "adapter.py": "{name}/adapter.py"},
        "metric": {**_PACKAGE, "metric.py": "{name}/metric.py"},
    }
)


def write_template(what: str, name: str, parent: Path, registry: Registry) -> list[str]:
    """Write the package of an adapter or a metric (`parent/name/`), or a task (`parent/name.yaml`).

    Args:
        what: `adapter`, `metric` or `task`.
        name: of the package and of the thing; a package has underscores for hyphens, which a task keeps.
        parent: where to write it.
        registry: the names that are taken.

    Returns:
        Lines that say what was written and what to do next.

    Raises:
        VtbenchError: the name cannot be imported, or is taken.
        ResultsError: something is there already, or nothing can be written there.
    """
    if what in _KINDS:
        name = name.replace("-", "_")  # the name of a distribution; Python imports it with underscores
    check_name(what, name, registry)
    target = parent / name if what in _KINDS else parent / f"{name}.yaml"
    if target.exists():
        raise ResultsError(f"{target}: there already; choose another name or remove it")
    if what == "task":
        text = (_HERE / "task.yaml.in").read_text(encoding="utf-8")
        return [
            str(write_file(target, Template(text).substitute(name=name))),
            f"next: vtbench validate {target}",
            f"      vtbench run --model oracle --tasks {target} --limit 100",
        ]
    written = []
    for source, where in _KINDS[what].items():
        path = target / where.format(name=name)
        with disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        text = (_HERE / what / f"{source}.in").read_text(encoding="utf-8")
        written.append(str(write_file(path, Template(text).substitute(name=name))))
    check, example = {
        "adapter": (f"vtbench check {name}", f"vtbench run --model {name} --tasks coarse"),
        "metric": (f"vtbench check --metric {name}", f"vtbench run --model oracle --tasks coarse --metrics +{name}"),
    }[what]
    return [*written, f"next: pip install -e {target} && {check}", f"      {example}"]


def check_name(what: str, name: str, registry: Registry) -> None:
    """Refuse a name that cannot be imported, or that something else has.

    Raises:
        VtbenchError: says why, and what a name looks like.
    """
    letters = name.replace("-", "_") if what == "task" else name
    if not (letters.isascii() and letters.isidentifier() and letters.islower()) or letters.startswith("_"):
        more = ", digits, _ and -" if what == "task" else ", digits and _"
        raise VtbenchError(f"{name!r}: a name is small letters{more}, and begins with a letter")
    if what == "task":
        return
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise VtbenchError(f"{name!r} is a word of Python and cannot be imported; choose another name")
    if name in sys.stdlib_module_names or find_spec(name) is not None or _distributed(name):
        raise VtbenchError(f"{name!r}: a package of this name is installed already; choose another name")
    kind: Any = {"adapter": "model", "metric": "metric"}[what]
    if named := registry.named(kind).get(name):
        raise VtbenchError(f"{name!r}: {named.plugin} has a {kind} of this name; choose another name")


def _distributed(name: str) -> bool:
    """Return whether a distribution of this name is installed, which `pip install` would replace."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
