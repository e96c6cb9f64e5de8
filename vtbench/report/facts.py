"""What a reader needs to judge or repeat a run, from run.json."""

from __future__ import annotations

import json
from typing import Any


def facts(run: dict[str, Any]) -> dict[str, Any]:
    """Return label -> text."""
    model, versions = run["model"], run["versions"]
    plain = {key: value for key, value in model.items() if isinstance(value, (str, int, float)) and value != ""}
    plugins = [f"{name} ({p['distribution']} {p['version']})" for name, p in versions["plugins"].items()]
    packages = {**{k: v for k, v in versions.items() if k not in ("plugins", "platform")}, **model.get("versions", {})}
    return {
        "Run": run["run_id"],
        "Begun": run["created"][:19],
        "Model": ", ".join(f"{key} {value}" for key, value in plain.items()),
        "Arguments": json.dumps(run["config"]["model_args"]) if run["config"]["model_args"] else "none",
        "Versions": ", ".join(f"{name} {version}" for name, version in packages.items() if version),
        "Plugins": ", ".join(plugins) or "none",
        "Platform": versions["platform"],
        "Git commit": run["git"] or "not in a git repository",
        "Config digest": run["digest"],
    }
