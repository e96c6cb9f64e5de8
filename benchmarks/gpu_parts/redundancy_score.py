"""The Redundancy Score with its interval on this device and on the CPU, each in a process of its own.

The tokens are made by the CPU, slice by slice, on their way to the device; making them is not counted.
"""

from __future__ import annotations

from gpu_parts.workload import Figures, Workload
from redundancy import apart

FEWER = 10
"""On the CPU a tenth of the images tells how long all would take."""
MOST_FEWER = 100
"""The fewest images of the first try there."""


def measure(load: Workload) -> Figures:
    """Yield time, memory and the score, here and on the CPU."""
    shape = (load.tokens, load.width)
    own = apart("score", load.images, *shape, load.device)
    yield "tokens_x_dimensions", f"{load.tokens} x {load.width}"
    yield from _figures("", load.images, own)
    count = min(load.images, max(load.images // FEWER, MOST_FEWER))
    cpu = apart("score", count, *shape, "cpu")
    whole = (cpu["seconds"] + cpu["reading"]) * load.images / count
    if count < load.images and whole <= load.cpu_seconds:
        count, cpu = load.images, apart("score", load.images, *shape, "cpu")
    elif count < load.images:
        yield "cpu_note", f"{count} images, not {load.images}: those would take about {whole:.0f} s"
    yield from _figures("cpu_", count, cpu)
    yield "speedup_an_image", (cpu["seconds"] / count) / (own["seconds"] / load.images)
    if count == load.images and None not in (own["rs"], cpu["rs"]):
        yield "difference_from_cpu", abs(own["rs"] - cpu["rs"])


def _figures(prefix: str, images: int, found: dict[str, float]) -> Figures:
    yield f"{prefix}images", images
    yield f"{prefix}seconds", found["seconds"]
    yield f"{prefix}reading_seconds", found["reading"]
    yield f"{prefix}process_peak_gib", found["peak_gib"]
    if found["device_peak_gib"] is not None:
        yield f"{prefix}device_peak_gib", found["device_peak_gib"]
    yield f"{prefix}rs", found["rs"]
    yield f"{prefix}interval", found["interval"]
