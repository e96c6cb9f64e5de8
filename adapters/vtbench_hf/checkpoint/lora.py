"""A LoRA directory over its base model: low-rank updates as peft writes them (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from vtbench.errors import AdapterError
from vtbench.runs.json_file import read_object
from vtbench_hf.checkpoint.files import fingerprint
from vtbench_hf.checkpoint.packages import hush_bitsandbytes, require
from vtbench_hf.errors import first_line

SETTINGS = "adapter_config.json"
BASE = "vtbench_base.json"
"""Written beside the updates by `vtbench train --lora`: which weights they were trained on."""


def check_lora(directory: str | None, base: str, weights: Path) -> Path | None:
    """Return the directory of a LoRA, once it is known to be one and not one of another base model.

    Args:
        directory: the argument `peft`.
        base: directory or hub name of the base model.
        weights: the directory of its files.

    Raises:
        AdapterError: it is none, or says that it was trained on another base.
    """
    if directory is None:
        return None
    require("peft", "peft", "accelerate")
    hush_bitsandbytes()
    path = Path(directory).expanduser()
    if not (path / SETTINGS).is_file():
        raise AdapterError(f"peft={directory} is no LoRA directory: it has no {SETTINGS}")
    settings = read_object(path / SETTINGS, AdapterError, "; copy or download it again")
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise AdapterError(f"{path / SETTINGS}: peft_type is {kind}, and LORA is what can be loaded")
    named = str(settings.get("base_model_name_or_path") or "")
    both_on_hub = named.count("/") == 1 and not Path(named).expanduser().exists() and not Path(base).exists()
    if both_on_hub and Path(named).name.lower() != Path(base).name.lower():
        raise AdapterError(
            f"peft={directory} was trained on {named}, and pretrained={base} is another model; give that one, or the"
            " directory of a checkpoint that has its weights"
        )
    if (path / BASE).is_file():
        trained_on = read_object(path / BASE, AdapterError, "; copy it again")
        if trained_on.get("fingerprint") not in (None, fingerprint(weights)):
            raise AdapterError(
                f"peft={directory} was trained on other weights than those of {base} (base model"
                f" {trained_on.get('checkpoint')}); give that one"
            )
    return path


def apply_lora(model: Any, directory: Path, source: str, *, merge: bool) -> None:
    """Load the updates of a LoRA directory into a model, in place.

    Args:
        model: the base model, of transformers.
        directory: as `check_lora` returns it.
        source: directory or hub name of the base model, for messages.
        merge: add the updates to the weights, so that the model is a plain one. Quantised weights would be rounded once
            more, and offloaded ones are not there: such models compute the updates beside the weights.

    Raises:
        AdapterError: they are updates of another model.
    """
    try:
        report = model.load_adapter(str(directory), low_cpu_mem_usage=True, ignore_mismatched_sizes=True)
    except (ValueError, RuntimeError, OSError, KeyError, TypeError, NotImplementedError) as error:
        raise AdapterError(f"peft={directory} does not fit {source} ({first_line(error)})") from error
    if mismatched := sorted(report.mismatched_keys, key=str):
        name, found, wanted = mismatched[0]
        raise AdapterError(
            f"peft={directory} was trained on another base than {source}: {name} is {tuple(found)}, not {tuple(wanted)}"
        )
    for keys, which in ((report.missing_keys, "lacks"), (report.unexpected_keys, "has")):
        if keys:
            raise AdapterError(
                f"peft={directory} was trained on another base than {source}: it {which} {len(keys)} of the updates,"
                f" e.g. {sorted(keys)[0]}" + (", which have no place there" if which == "has" else " that belong there")
            )
    if merge:
        _merge(model)


def lora_fingerprint(directory: Path) -> str:
    """Return the sha256 over the updates and their settings, which scale them."""
    digest = hashlib.sha256((fingerprint(directory) or "").encode())
    settings = read_object(directory / SETTINGS, AdapterError, "; copy or download it again")
    # The name of the base, which may be a path, changes no answer.
    kept = {key: value for key, value in settings.items() if key != "base_model_name_or_path"}
    digest.update(json.dumps(kept, sort_keys=True).encode())
    return digest.hexdigest()


def _merge(model: Any) -> None:
    """Add the updates to the weights, and put the plain layers back."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, module.get_base_layer())
    model._hf_peft_config_loaded = False
    del model.peft_config
