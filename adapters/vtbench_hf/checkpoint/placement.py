"""Where a model's weights go: one device, or a device map over several devices, the CPU's memory and the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from vtbench.errors import AdapterError, nearest
from vtbench_hf.checkpoint.arguments import LoadArguments
from vtbench_hf.checkpoint.packages import require
from vtbench_hf.errors import first_line

STRATEGIES = ("auto", "balanced", "balanced_low_0", "sequential")
"""Device maps that accelerate works out from the free memory."""
DISK = "disk"


@dataclass(frozen=True, slots=True)
class Placement:
    """A device, or a device map."""

    device: torch.device
    """Where the model computes; of a map the first accelerator in it. It decides `dtype=auto`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of `from_pretrained`; empty where the model goes to `device` as a whole."""

    @property
    def mapped(self) -> bool:
        """Whether transformers places the weights, so that the model must not be moved."""
        return bool(self.options)


def choose_placement(arguments: LoadArguments) -> Placement:
    """Return where the model goes.

    Raises:
        AdapterError: an argument is wrong, contradicts another one, or needs a package that is missing.
    """
    device_map = arguments.device_map
    if device_map is None:
        for name in ("max_memory", "offload_folder"):
            if getattr(arguments, name) is not None:
                raise AdapterError(f"{name} is for a device map: add device_map=auto, or leave {name} out")
        return Placement(choose_device(arguments.device))
    if arguments.device != "auto":
        raise AdapterError(
            f"device={arguments.device} and device_map both say where the model goes; leave one of them out"
        )
    require("device_map", "accelerate")
    options: dict[str, Any] = {}
    if arguments.offload_folder is not None:
        options["offload_folder"] = arguments.offload_folder
    if isinstance(device_map, Mapping):
        if arguments.max_memory is not None:
            raise AdapterError("max_memory is for device_map=auto; a map of modules says itself what goes where")
        places = {str(module): _place(str(module), place) for module, place in device_map.items()}
        used = [torch.device(place) for place in places.values() if place != DISK]
        if not used:
            raise AdapterError("device_map: something must compute; give one of the modules a device beside the disk")
        first = next((place for place in used if place.type != "cpu"), used[0])
        return Placement(first, {"device_map": places, **options})
    if device_map not in STRATEGIES:
        raise AdapterError(
            f"device_map={device_map} is none of {', '.join(STRATEGIES)}.{nearest(str(device_map), [*STRATEGIES])}"
            " A map is written device_map={model.visual: 0, model.language_model: 1, lm_head: 1}, a device device=NAME"
        )
    if arguments.max_memory is not None:
        options["max_memory"] = _max_memory(arguments.max_memory)
    return Placement(choose_device("auto"), {"device_map": device_map, **options})


def check_map(model: torch.nn.Module, device_map: Mapping[str, Any]) -> None:
    """Refuse a map of modules that is not of this model.

    Args:
        model: of which the names count alone; it may be on the device `meta`.
        device_map: as `Placement.options` has it.

    Raises:
        AdapterError: a name is no module, or a weight has no place; names it.
    """
    names = {name for name, _ in model.named_modules()} | model.state_dict().keys()
    for name in device_map:
        if name not in names:
            upper = sorted(each for each in names if each and each.count(".") < 2)
            raise AdapterError(f"device_map: the model has no module {name!r}.{nearest(name, upper)}")
    for weight in model.state_dict():
        if not any(not name or f"{weight}.".startswith(f"{name}.") for name in device_map):
            raise AdapterError(f"device_map: {weight} is in none of its modules; give each part of the model a place")


def placed(model: Any) -> dict[str, str]:
    """Return the device of each module of a model with a device map; empty where it is on one device."""
    places = {name: _device_name(place) for name, place in getattr(model, "hf_device_map", {}).items()}
    return places if len(set(places.values())) > 1 or DISK in places.values() else {}


def choose_device(device: str | int) -> torch.device:
    """Return the device: `auto` takes a GPU where there is one.

    Raises:
        AdapterError: there is no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError, ValueError, ImportError) as error:
        raise AdapterError(f"device={device} cannot be used here ({first_line(error)}); device=cpu can") from error
    if chosen.type == "meta":
        raise AdapterError("device=meta holds no numbers; device=cpu does")
    return chosen


def _place(module: str, place: object) -> str:
    if place == DISK:
        return DISK
    if isinstance(place, bool) or not isinstance(place, int | str):
        raise AdapterError(f"device_map: {module or 'the model'}: {place!r} is no device: write 0, cuda:1, cpu or disk")
    try:
        # A name, not a device: safetensors, which reads what lies on the disk, knows no other form.
        return str(choose_device(f"cuda:{place}" if isinstance(place, int) or place.isdecimal() else place))
    except AdapterError as error:
        raise AdapterError(f"device_map: {module or 'the model'}: {error}") from error


def _max_memory(given: object) -> dict[int | str, int]:
    from accelerate.utils import convert_file_size_to_int

    if not isinstance(given, Mapping) or not given:
        raise AdapterError("max_memory is written max_memory={0: 20GiB, cpu: 60GiB}: a device, and what it may hold")
    found: dict[int | str, int] = {}
    for name, size in given.items():
        device = int(name) if str(name).isdecimal() else str(name)
        if device not in ("cpu", "mps"):
            choose_device(f"cuda:{device}" if isinstance(device, int) else device)
        try:
            found[device] = convert_file_size_to_int(size)
        except ValueError as error:
            raise AdapterError(f"max_memory: {name}: {size!r} is no size: write 20GiB or 500MB") from error
    return found


def _device_name(place: object) -> str:
    return f"cuda:{place}" if isinstance(place, int) else str(place)
