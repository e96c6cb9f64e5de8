"""Load a checkpoint: a directory or hub name in, model and processor out, or one line that says what is wrong."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import StrictDataclassError
from huggingface_hub.utils import HFValidationError, validate_repo_id
from safetensors import SafetensorError, safe_open
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import logging

from vtbench.errors import AdapterError, nearest
from vtbench_hf.allocator import keep_freed_memory
from vtbench_hf.fingerprint import fingerprint
from vtbench_hf.memory import first_line, out_of_memory_as
from vtbench_hf.processors import load_processor
from vtbench_hf.serving import server_of

_DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}
_CONVERTED = {"llava_": ("LLaVA", "llava-hf/*"), "internvl_chat": ("InternVL", "OpenGVLab/InternVL3-*-hf")}
"""Model types of checkpoints in their authors' own format, and where to find them in transformers'."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to use, and where it came from."""

    model: Any
    """On its device, in evaluation mode."""
    processor: Any
    """Pads on the left."""
    checkpoint: str
    """As the user named it."""
    directory: Path | None = None
    """Where its files lie; None for a model made in memory."""

    def fingerprint(self) -> str | None:
        """Return the sha256 over the contents of the weights files, in the order of their names."""
        return fingerprint(self.directory) if self.directory else None


def load(
    name: str,
    pretrained: str | None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    attn_implementation: str | None = None,
    trust_remote_code: bool | str = False,
    chat_template: str | None = None,
    label: str | None = None,
    only: str | Collection[str] = (),
    never: Collection[str] = (),
) -> Loaded:
    """Load an image-text checkpoint.

    Args:
        name: of the adapter, for messages.
        pretrained: directory or hub name.
        revision: branch, tag or commit on the hub.
        dtype: see `choose_dtype`.
        device: see `choose_device`.
        attn_implementation: passed to transformers.
        trust_remote_code: run code that comes with the checkpoint.
        chat_template: a Jinja template, or a file that holds one, in place of the processor's.
        label: what `describe` calls the checkpoint; `pretrained` by default.
        only: the `model_type` that the adapter serves, or several; every image-text model by default.
        never: `model_type`s that the adapter leaves to others.

    Raises:
        AdapterError: it cannot be used.
    """
    if not pretrained:
        raise AdapterError(
            f"--model {name} needs a checkpoint: --model-args pretrained=<directory, or hub name like org/model>"
        )
    place = choose_device(device)
    if place.type == "cpu":
        keep_freed_memory()
    kind = choose_dtype(dtype, place)
    common: dict[str, Any] = {"trust_remote_code": _as_bool("trust_remote_code", trust_remote_code)}
    path = Path(pretrained).expanduser()
    source = str(path) if path.is_dir() else pretrained
    if not path.is_dir():
        common |= {"revision": revision, "local_files_only": _only_local(name, pretrained)}
    with _quiet():
        model_type = _check_is_image_text(name, source, common, (only,) if isinstance(only, str) else only, never)
        processor = load_processor(source, model_type, common, chat_template)
        directory = Path(transformers.utils.cached_file(source, "config.json", **_hub_only(common))).parent
        check_weights(directory)
        model = _load_model(source, common, kind, attn_implementation)
    make_greedy(model.generation_config, processor.tokenizer)
    with out_of_memory_as(AdapterError, f"{pretrained} does not fit into the memory of {place}; try dtype=bfloat16"):
        model = model.to(place)
    return Loaded(model.eval(), processor, label or pretrained, directory)


def choose_device(device: str) -> torch.device:
    """Return the device: `auto` takes a GPU where there is one.

    Raises:
        AdapterError: there is no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise AdapterError(f"device={device} cannot be used here ({first_line(error)}); device=cpu can") from error
    return place


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the dtype: `auto` is bfloat16 on a GPU (float16 where it has none) and float32 on a CPU.

    Raises:
        AdapterError: there is no such dtype.
    """
    if dtype == "auto":
        if device.type == "cpu":
            return torch.float32
        return torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16
    if dtype not in _DTYPES:
        raise AdapterError(f"dtype={dtype} is unknown.{nearest(dtype, ['auto', *_DTYPES])}")
    return _DTYPES[dtype]


def check_weights(directory: Path) -> None:
    """Read the header of every safetensors file, and see that none is missing.

    Raises:
        AdapterError: a file is broken or missing; names it.
    """
    for path in directory.glob("*.safetensors"):
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise AdapterError(
                f"{path} is not a whole safetensors file ({first_line(error)}); copy or download it again"
            ) from error
    index = directory / "model.safetensors.index.json"
    if index.exists():
        try:
            shards = set(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, KeyError, AttributeError) as error:
            raise AdapterError(f"{index} is not an index of weights; copy or download it again") from error
        if missing := sorted(shard for shard in shards if not (directory / shard).exists()):
            raise AdapterError(f"{directory} lacks {missing[0]}, which its index names; copy or download it")


def make_greedy(config: Any, tokenizer: Any) -> None:
    """Turn a checkpoint's generation settings into plain greedy decoding; what ends an answer stays."""
    config.do_sample = False
    config.num_beams = 1
    for key in (
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "length_penalty",
        "early_stopping",
        "max_length",
        "min_length",
        "guidance_scale",
    ):
        if hasattr(config, key):
            setattr(config, key, None)
    if config.eos_token_id is None:
        config.eos_token_id = tokenizer.eos_token_id
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id


def _only_local(name: str, pretrained: str) -> bool:
    """Whether a hub name must come from the cache, because the hub does not answer. Asks once: no retries."""
    missing = f"--model {name}: there is no directory {pretrained!r}"
    try:
        validate_repo_id(pretrained)
    except HFValidationError as error:
        raise AdapterError(f"{missing}; pretrained= takes the directory of a checkpoint or a hub name") from error
    if problem := _unreachable():
        if isinstance(try_to_load_from_cache(pretrained, "config.json"), str):
            return True
        raise AdapterError(
            f"{missing}, no hub checkpoint of that name in the cache, and the hub cannot be reached ({problem})"
        )
    return False


def _unreachable() -> str | None:
    """Say why the hub cannot be reached; None where it answers at all."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        reason = getattr(error, "reason", error)
        # Certificates are the hub client's business: it may know some that this request does not.
        return None if isinstance(reason, ssl.SSLError) else f"{constants.ENDPOINT}: {first_line(reason)}"
    return None


def _as_bool(key: str, value: object) -> bool:
    """Read a switch: a bool, or `true` / `false` in the spellings people use."""
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise AdapterError(f"{key}={value} is not a switch: write {key}=true or {key}=false")


def _hub_only(common: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in common.items() if key != "trust_remote_code"}


def _check_is_image_text(
    name: str, source: str, common: dict[str, Any], only: Collection[str], never: Collection[str]
) -> str:
    """Refuse what the adapter does not serve, saying what it is and which one does; return its model type."""
    path = Path(source)
    if path.is_dir() and not (path / "config.json").exists():
        hint = "a checkpoint that transformers can load holds config.json, weights, tokenizer and processor"
        if any(path.glob("*.gguf")):
            hint = "it holds GGUF weights, which transformers does not serve as an image-text model"
        elif (path / "adapter_config.json").exists():
            hint = "it holds a LoRA adapter; merge it into its base model first"
        raise AdapterError(f"{source} has no config.json: {hint}")
    try:
        config = transformers.AutoConfig.from_pretrained(source, **common)
    except (OSError, ValueError, KeyError, StrictDataclassError) as error:
        kind = _declared_type(path)
        for original, (family, converted) in _CONVERTED.items():
            if kind.startswith(original):
                raise AdapterError(
                    f"{source} is in the original {family} format ({kind}); use one converted for transformers"
                    f" (as {converted})"
                ) from error
        raise AdapterError(f"{source}: its config cannot be used ({first_line(error)})") from error
    known = config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    remote = common["trust_remote_code"] and "AutoModelForImageTextToText" in (getattr(config, "auto_map", None) or {})
    if not known and not remote:
        made_as = ", ".join(config.architectures or []) or "no architecture named"
        raise AdapterError(
            f"{source} is a {config.model_type!r} checkpoint ({made_as}), not an image-text model: --model {name}"
            " needs one that AutoModelForImageTextToText loads (llava, qwen2_vl, idefics3, paligemma, ...)"
        )
    if config.model_type in never or (only and config.model_type not in only):
        takes = f"takes {' or '.join(only)}" if only else "leaves it to another"
        raise AdapterError(
            f"{path / 'config.json'} says model_type {config.model_type}, and --model {name} {takes}:"
            f" --model {server_of(config.model_type)} runs it"
        )
    return str(config.model_type)


def _declared_type(directory: Path) -> str:
    try:
        return str(json.loads((directory / "config.json").read_text()).get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _load_model(source: str, common: dict[str, Any], dtype: torch.dtype, attn_implementation: str | None) -> Any:
    """Load the weights; every one of the model's must be there."""
    extra = {"attn_implementation": attn_implementation} if attn_implementation else {}
    try:
        with out_of_memory_as(AdapterError, f"{source} does not fit into memory; try dtype=bfloat16"):
            model, report = transformers.AutoModelForImageTextToText.from_pretrained(
                source, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True, **common, **extra
            )
    except SafetensorError as error:
        raise AdapterError(f"{source}: a weights file is broken ({first_line(error)})") from error
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise AdapterError(f"{source}: its weights cannot be loaded ({first_line(error)})") from error
    if mismatched := sorted(report["mismatched_keys"], key=str):
        name, found, wanted = mismatched[0]
        raise AdapterError(
            f"{source}: its weights are not those of its config.json: {name} is {tuple(found)}, not {tuple(wanted)}"
        )
    if missing := sorted(report["missing_keys"]):
        raise AdapterError(
            f"{source} lacks {len(missing)} of the model's weights, e.g. {missing[0]}: its answers would be noise;"
            " copy or download it again"
        )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars and remarks off the terminal while it loads."""
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
