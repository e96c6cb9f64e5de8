"""`vtbench init`: a working start for an adapter or a task.

In: what and a name. Out: files that pass their own test, and lines that say what to do next.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from vtbench.errors import StoreError, VtbenchError
from vtbench.store import disk, write_file

_HERE = Path(__file__).parent
_ADAPTER = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "package.py": "{name}/__init__.py",
    "adapter.py": "{name}/adapter.py",
    "test.py": "tests/test_{name}.py",
}
"""Where each template of an adapter's package goes."""


def write_skeleton(what: str, name: str, parent: Path) -> list[str]:
    """Write the skeleton of an adapter's package (`parent/name/`) or of a task (`parent/name.yaml`).

    Raises:
        VtbenchError: the name does not fit, or something is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise VtbenchError(f"{name!r}: a name is small letters, digits and _, and begins with a letter")
    target = parent / name if what == "adapter" else parent / f"{name}.yaml"
    if target.exists():
        raise StoreError(f"{target}: there already; choose another name or remove it")
    if what == "task":
        text = (_HERE / "task.yaml.in").read_text(encoding="utf-8")
        return [
            str(write_file(target, Template(text).substitute(name=name))),
            f"next: vtbench validate {target}",
            f"      vtbench run --model oracle --tasks {target} --limit 100",
        ]
    written = []
    for source, where in _ADAPTER.items():
        path = target / where.format(name=name)
        with disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        text = (_HERE / "adapter" / f"{source}.in").read_text(encoding="utf-8")
        written.append(str(write_file(path, Template(text).substitute(name=name))))
    return [
        *written,
        f"next: pip install -e {target} && pytest {target}",
        f"      vtbench run --model {name} --tasks coarse",
    ]
