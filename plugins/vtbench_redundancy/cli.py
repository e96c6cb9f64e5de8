"""The command `vtbench score`. Torch and numpy are imported when the command runs, not for `--help`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from vtbench.console.json_document import say_json
from vtbench.console.terminal import say
from vtbench.errors import VtbenchError, install_command
from vtbench_redundancy.protocol import SETTINGS, Protocol, custom_protocol

_KSG_DEFAULTS = {"r": 1}
"""Defaults that `--estimator ksg` changes: nearest neighbours take few coordinates."""


def _protocol_options(command: Any) -> Any:
    """Add an option for each setting of the protocol."""
    for name, text in reversed(SETTINGS.items()):
        default = Protocol().name if name == "protocol" else getattr(Protocol(), name)
        shown = text if default is None else f"{text} [{default}]"
        command = click.option(_flag(name), type=int if default is None else type(default), help=shown)(command)
    return command


def _flag(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


@click.command()
@click.argument("tokens")
@click.argument("images")
@_protocol_options
@click.option("--patches", is_flag=True, help="IMAGES is an array of patches (n, P, p), patch i that of token i.")
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
    patches: bool,
    boxes: str | None,
    clusters: str | None,
    estimator: str,
    device: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Score your own arrays: how redundant are TOKENS, as views of IMAGES?

    TOKENS is an array (n, N, d) in a .npy, .npz or .safetensors file (FILE:KEY names one of several). IMAGES is an
    array (n, H, W, 3), with --patches (n, P, p), or a directory of images in the order of their names. Files of any
    size are read slice by slice.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    protocol = custom_protocol(given if estimator == "gaussian" else _KSG_DEFAULTS | given, label=_flag)
    try:
        import torch

        from vtbench_redundancy.features.feature_target import features_of_images
        from vtbench_redundancy.inputs.array_files import open_array
        from vtbench_redundancy.inputs.image_folder import open_images
        from vtbench_redundancy.score_table import json_document, print_scores
        from vtbench_redundancy.scores.token_pairs import pair_redundancy
        from vtbench_redundancy.suite import score_arrays
    except ImportError as error:
        raise VtbenchError(f"vtbench score needs {error.name}: {install_command('hf')}") from error
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise VtbenchError(f"--device {device} cannot be used here; `cpu` can") from error
    token_rows, image_rows = open_array(tokens), open_images(images)
    if image_rows.ndim == 3 and not patches:
        raise VtbenchError(
            f"{images}: has the shape {tuple(image_rows.shape)}; --patches says that it holds patches (n, P, p), and "
            "grey images need a last axis of one channel"
        )
    arrays: dict[str, Any] = {"patches" if patches else "images": image_rows}
    arrays |= {
        "boxes": open_array(boxes)[:] if boxes else None,
        "clusters": _read_clusters(clusters) if clusters else None,
    }
    if protocol.target != "pixels":
        if protocol.target == "cues":
            raise VtbenchError("--target cues needs scenes, which arrays have not; name a FILE with a row an image")
        if estimator == "ksg":
            raise VtbenchError("--target FILE goes with --estimator gaussian: pairs of tokens are measured on pixels")
        arrays["target"] = features_of_images(protocol.target, images)
    measure = score_arrays if estimator == "gaussian" else pair_redundancy
    found = measure(token_rows, **arrays, protocol=protocol, device=chosen).scores()
    if as_json:
        say_json(json_document(found, asdict(protocol)))
    else:
        print_scores(found, f"{tokens} · {images}")
        if estimator == "gaussian" and protocol.target == "pixels":
            say("left out cue_information: arrays have no scenes; --target FILE measures features of your own")


def _read_clusters(file: str) -> list[str]:
    from pathlib import Path

    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VtbenchError(f"{file}: the clusters cannot be read: {error}") from error
