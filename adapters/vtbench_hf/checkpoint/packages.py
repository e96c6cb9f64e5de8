"""Packages that a checkpoint or an argument needs and that are not installed, by the names that pip takes.

Importing this imports no backend.
"""

from __future__ import annotations

import logging
import re
from importlib.util import find_spec

from vtbench.errors import AdapterError, install_command

LARGE = "large"
"""The extra with what loading at size needs: accelerate, bitsandbytes, peft."""
_MODULES = {
    "av": "av",
    "blobfile": "blobfile",
    "einops": "einops",
    "librosa": "librosa",
    "mistral-common": "mistral_common",
    "num2words": "num2words",
    "opencv-python": "cv2",
    "protobuf": "google.protobuf",
    "sentencepiece": "sentencepiece",
    "soundfile": "soundfile",
    "tiktoken": "tiktoken",
    "timm": "timm",
    "torchaudio": "torchaudio",
    "torchcodec": "torchcodec",
    "torchvision": "torchvision",
}
"""By the name of a package that processors and models of transformers ask for: the module that it brings."""
_REMOTE = re.compile(r"packages that were not found in your environment: ([\w ,.-]+?)\. Run")
"""How transformers words what the code of a checkpoint imports."""


def require(argument: str, *packages: str) -> None:
    """Refuse an argument whose packages are not installed.

    Raises:
        AdapterError: names the missing packages and the extra that brings them.
    """
    if missing := [name for name in packages if not _installed(name)]:
        raise AdapterError(f"{argument} needs {' and '.join(missing)}: {install_command(LARGE)}")


def hush_bitsandbytes() -> None:
    """Keep bitsandbytes, which peft imports too, from saying that faster kernels for CPUs are not installed."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def missing_packages(error: BaseException) -> list[str]:
    """Return the packages that an error asks for and that are not installed; empty where it says of none.

    Errors that caused it count too: transformers often raises one that says less.

    >>> missing_packages(ModuleNotFoundError("No module named 'nowhere'", name="nowhere.at_all"))
    ['nowhere']
    >>> missing_packages(ValueError("timm_model is unknown"))
    []
    """
    found: dict[str, None] = {}
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen)
        if remote := _REMOTE.search(text):
            found |= dict.fromkeys(name.strip() for name in remote[1].split(","))
        elif isinstance(seen, ImportError):
            words = set(re.findall(r"[a-z0-9_-]+", text.lower()))
            found |= {name: None for name, module in _MODULES.items() if name in words or module in words}
            if isinstance(seen, ModuleNotFoundError) and seen.name:
                root = seen.name.partition(".")[0]
                found |= {next((name for name, module in _MODULES.items() if module == root), root): None}
        seen = seen.__cause__ or seen.__context__
    return sorted(name for name in found if not _installed(_MODULES.get(name, name)))


def needs_packages(source: str, what: str, error: BaseException) -> AdapterError | None:
    """Return the error of a checkpoint whose processor or model needs packages; None where that is not the reason."""
    missing = missing_packages(error)
    if not missing:
        return None
    built = ", built for your torch" if "torchvision" in missing else ""
    return AdapterError(
        f"{source}: its {what} needs {' and '.join(missing)}{built}; install: pip install {' '.join(missing)}"
    )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # the parent of a dotted name, or a half-removed package
        return False
