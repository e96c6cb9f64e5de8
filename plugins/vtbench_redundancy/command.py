"""`vtbench score`: parse, then one call. Nothing heavy is imported before the command runs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import click

from vtbench.errors import VtbenchError
from vtbench_redundancy.protocol import Protocol

_DEFAULT = Protocol()
_OPTIONS = {
    "m": "Tokens measured together; of more, stratified choices are averaged.",
    "r": "Principal components of a token.",
    "r_x": "Coordinates of the picture.",
    "floor": "Variance of the noise on the pixels: the resolution.",
    "permutations": "Draws of the null.",
    "seed": "Of noise, permutations and choices.",
}


_NEIGHBOURS = {"r": 1}
"""What nearest neighbours have for a default instead: they take few coordinates."""


def _protocol_options(command: Any) -> Any:
    for name, text in reversed(_OPTIONS.items()):
        default = getattr(_DEFAULT, name)
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, type=type(default), help=f"{text} [{default}]")(command)
    return command


@click.command()
@click.argument("tokens")
@click.argument("images")
@_protocol_options
@click.option("--boxes", help="Array (N, 4): left, top, right, bottom of each token's part, as fractions.")
@click.option("--clusters", help="Text file with a name a line: images of one name are not independent.")
@click.option(
    "--estimator",
    type=click.Choice(["gaussian", "ksg"]),
    default="gaussian",
    show_default=True,
    help="`ksg`: pairs of tokens by nearest neighbours, --r at most 3, to check the Gaussian copula.",
)
@click.option("--device", default="auto", show_default=True, help="`cpu`, `cuda`, or `auto`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def score(
    tokens: str,
    images: str,
    boxes: str | None,
    clusters: str | None,
    estimator: str,
    device: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Score your own arrays: how redundant are TOKENS, as views of IMAGES?

    TOKENS is an array (n, N, d) in a .npy, .npz or .safetensors file (FILE:KEY names one of several). IMAGES is an
    array (n, H, W, 3), or (n, P, p) of patches, or a directory of pictures in the order of their names. Files of any
    size are read slice by slice.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    protocol = _checked(given if estimator == "gaussian" else _NEIGHBOURS | given)
    try:
        import torch

        from vtbench_redundancy.pairs import pair_redundancy
        from vtbench_redundancy.reading.files import open_array
        from vtbench_redundancy.reading.pictures import open_images
        from vtbench_redundancy.showing import document, show
        from vtbench_redundancy.suite import score_arrays
    except ImportError as error:
        raise VtbenchError(f"vtbench score needs {error.name}: pip install 'vtbench[hf]'") from error
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise VtbenchError(f"--device {device} cannot be used here; `cpu` can") from error
    opened, pictures = open_array(tokens), open_images(images)
    arrays: dict[str, Any] = {"patches" if pictures.ndim == 3 else "images": pictures}
    arrays |= {"boxes": open_array(boxes)[:] if boxes else None, "clusters": _lines(clusters) if clusters else None}
    measure = score_arrays if estimator == "gaussian" else pair_redundancy
    found = measure(opened, **arrays, protocol=protocol, device=chosen).scores()
    if as_json:
        click.echo(json.dumps(document(found, asdict(protocol)), allow_nan=False))
    else:
        show(found, f"{tokens} · {images}")


def _checked(settings: dict[str, Any]) -> Protocol:
    """Return the protocol with these settings; its name tells where they are not those of `rs-v1`."""
    for name, value in settings.items():
        flag, least = f"--{name.replace('_', '-')}", {"seed": 0, "permutations": 1, "m": 2}.get(name, 1)
        if name == "floor" and not 0 < value <= 1:
            raise VtbenchError(f"{flag} must lie above 0 and at most at 1, not {value}")
        if name != "floor" and value < least:
            raise VtbenchError(f"{flag} must be a whole number of at least {least}, not {value}")
    named = [k for k in _OPTIONS if k != "seed" and settings.get(k, getattr(_DEFAULT, k)) != getattr(_DEFAULT, k)]
    return replace(_DEFAULT, **settings, name=" ".join([_DEFAULT.name, *(f"{k}={settings[k]}" for k in named)]))


def _lines(file: str) -> list[str]:
    from pathlib import Path

    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VtbenchError(f"{file}: the clusters cannot be read: {error}") from error
