"""Load a checkpoint's model and processor, ready to use; whatever is wrong with it is an error of one line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers.utils import logging

from vtbench.adapter import Generation
from vtbench.errors import AdapterError, nearest
from vtbench_hf.chat_template import check_template_args
from vtbench_hf.checkpoint.arguments import LoadArguments
from vtbench_hf.checkpoint.config import checked_model_type, is_offline
from vtbench_hf.checkpoint.files import check_weights, fingerprint
from vtbench_hf.checkpoint.processor import load_processor
from vtbench_hf.errors import first_line, out_of_memory_as

GREEDY = Generation()
_DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model, its processor and where they come from."""

    model: Any
    """On its device, in evaluation mode."""
    processor: Any
    """Pads on the left."""
    checkpoint: str
    """The checkpoint's name, as `describe` reports it."""
    directory: Path | None = None
    """The directory of its files, or the one file that holds it all; None for a model made in memory."""
    generation: Generation = GREEDY
    """How it generates."""
    chat_template_args: Mapping[str, Any] = field(default_factory=dict)
    """Variables of its chat template."""

    def fingerprint(self) -> str | None:
        """Return the sha256 over the contents of the weights files, in the order of their names."""
        return fingerprint(self.directory) if self.directory else None


def load(
    adapter: str,
    arguments: LoadArguments,
    *,
    label: str | None = None,
    only: str | Collection[str] = (),
    never: Collection[str] = (),
) -> LoadedModel:
    """Load an image-text checkpoint.

    Args:
        adapter: name of the adapter, for messages.
        arguments: which checkpoint, and how to load it.
        label: the checkpoint's name in `describe`; `arguments.pretrained` by default.
        only: the `model_type` that the adapter serves, or several; every image-text model by default.
        never: model types that the adapter leaves to others.

    Raises:
        AdapterError: the checkpoint cannot be used.
    """
    pretrained = arguments.pretrained
    if not pretrained:
        raise AdapterError(
            f"--model {adapter} needs a checkpoint: --model-args pretrained=<directory, or hub name like org/model>"
        )
    device = choose_device(arguments.device)
    dtype = choose_dtype(arguments.dtype, device)
    remote_code = as_bool("trust_remote_code", arguments.trust_remote_code)
    path = Path(pretrained).expanduser()
    source = str(path) if path.is_dir() else pretrained
    hub: dict[str, Any] = {}
    if not path.is_dir():
        hub = {"revision": arguments.revision, "local_files_only": is_offline(adapter, pretrained)}
    options = {"trust_remote_code": remote_code, **hub}
    with quiet():
        model_type = checked_model_type(adapter, source, options, (only,) if isinstance(only, str) else only, never)
        processor = load_processor(source, model_type, options, arguments.chat_template)
        check_template_args(processor, arguments.chat_template_args or {}, adapter)
        directory = Path(transformers.utils.cached_file(source, "config.json", **hub)).parent
        check_weights(directory)
        model = load_model(
            transformers.AutoModelForImageTextToText, source, options, dtype, arguments.attn_implementation
        )
    make_greedy(model.generation_config, processor.tokenizer)
    with out_of_memory_as(AdapterError, f"{pretrained} does not fit into the memory of {device}; try dtype=bfloat16"):
        model = model.to(device)
    return LoadedModel(
        model.eval(),
        processor,
        label or pretrained,
        directory,
        arguments.generation or GREEDY,
        arguments.chat_template_args or {},
    )


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
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError, ValueError, ImportError) as error:
        raise AdapterError(f"device={device} cannot be used here ({first_line(error)}); device=cpu can") from error
    if chosen.type == "meta":
        raise AdapterError("device=meta holds no numbers; device=cpu does")
    return chosen


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


def make_greedy(config: Any, tokenizer: Any) -> None:
    """Turn a generation config into plain greedy decoding, in place; the ids that end an answer stay."""
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


def as_bool(key: str, value: object) -> bool:
    """Return a switch's value: a bool, or `true` / `false` in the usual spellings."""
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise AdapterError(f"{key}={value} is not a switch: write {key}=true or {key}=false")


def load_model(
    auto_class: Any, source: str, options: dict[str, Any], dtype: torch.dtype, attn_implementation: str | None
) -> Any:
    """Load a model; every one of its weights must be in the checkpoint.

    Args:
        auto_class: of transformers, `AutoModelForImageTextToText` for example.
        source: directory or hub name.
        options: keyword arguments of `from_pretrained`.
        dtype: of the weights.
        attn_implementation: transformers' choice if None.

    Raises:
        AdapterError: the weights are broken, incomplete, not those of the config, or too large.
    """
    extra = {"attn_implementation": attn_implementation} if attn_implementation else {}
    try:
        with out_of_memory_as(AdapterError, f"{source} does not fit into memory; try dtype=bfloat16"):
            model, report = auto_class.from_pretrained(
                source, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True, **options, **extra
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
def quiet() -> Iterator[None]:
    """Turn transformers' progress bars and warnings off while it loads or saves."""
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
