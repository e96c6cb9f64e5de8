"""Load a checkpoint's model and processor, ready to use; whatever is wrong with it is an error of one line."""

from __future__ import annotations

import logging as standard_logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers.utils import logging

from vtbench.adapter import Generation
from vtbench.errors import AdapterError, nearest
from vtbench_hf.chat_template import check_template_args
from vtbench_hf.checkpoint.arguments import LoadArguments, as_bool
from vtbench_hf.checkpoint.config import PROMPT_FORMAT, KnownConfig, checked_config, is_offline
from vtbench_hf.checkpoint.files import check_weights, fingerprint
from vtbench_hf.checkpoint.lora import apply_lora, check_lora, lora_fingerprint
from vtbench_hf.checkpoint.packages import needs_packages
from vtbench_hf.checkpoint.placement import DISK, Placement, check_map, choose_placement, placed
from vtbench_hf.checkpoint.processor import ImageSettings, load_processor
from vtbench_hf.checkpoint.quantisation import check_quantisation, quantisation_options
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
    loading: Mapping[str, Any] = field(default_factory=dict)
    """What changes its answers and is not the checkpoint's own: quantisation, LoRA, settings of the image processor."""

    def described(self) -> dict[str, Any]:
        """Return what `describe` adds for a model that was not loaded as it lies there, whole on one device.

        `loading` changes answers. `placement`, the device of each module, changes none, so runs may differ in it.
        """
        placement = placed(self.model)
        said = {"loading": dict(self.loading), "placement": placement}
        return {name: value for name, value in said.items() if value}

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
    placement = choose_placement(arguments)
    dtype = choose_dtype(arguments.dtype, placement.device)
    check_quantisation(arguments.quantization)
    images = ImageSettings.of(arguments)
    remote_code = as_bool("trust_remote_code", arguments.trust_remote_code)
    path = Path(pretrained).expanduser()
    source = str(path) if path.is_dir() else pretrained
    hub: dict[str, Any] = {}
    if not path.is_dir():
        hub = {"revision": arguments.revision, "local_files_only": is_offline(adapter, pretrained)}
    options = {"trust_remote_code": remote_code, **hub}
    with quiet():
        known = checked_config(adapter, source, options, (only,) if isinstance(only, str) else only, never)
        if getattr(known.config, PROMPT_FORMAT, None) and images.backend is None:
            # vtbench trained it on images that Pillow processed, and its figures are those of Pillow.
            images = replace(images, backend="pil")
        processor = load_processor(source, known.model_type, options, arguments.chat_template, images)
        check_template_args(processor, arguments.chat_template_args or {}, adapter)
        directory = Path(transformers.utils.cached_file(source, "config.json", **hub)).parent
        check_weights(directory)
        lora = check_lora(arguments.peft, source, directory)
        quantised = quantisation_options(arguments.quantization, source, known.config, dtype)
        placing = _placing(placement, known, source, options, whole=not quantised)
        model = load_model(
            known.auto_class, source, options | placing | quantised, dtype, arguments.attn_implementation
        )
        if set(placed(model).values()) == {DISK}:
            raise AdapterError(
                f"{source} does not fit: device_map={arguments.device_map} leaves all of it on the disk; allow more in"
                " max_memory"
            )
        if not callable(getattr(model, "generate", None)):
            raise AdapterError(f"{source}: its model, {type(model).__name__}, generates no text: it has no `generate`")
        if lora is not None:
            apply_lora(model, lora, source, merge=not quantised and not placed(model))
    make_greedy(model.generation_config, processor.tokenizer)
    if not placing:
        unfit = (
            f"{pretrained} does not fit into the memory of {placement.device}; try dtype=bfloat16 or device_map=auto"
        )
        with out_of_memory_as(AdapterError, unfit):
            model = model.to(placement.device)
    loading = {"quantization": arguments.quantization, "images": images.describe(processor)}
    if lora is not None:
        loading["peft"] = {"directory": arguments.peft, "fingerprint": lora_fingerprint(lora)}
    return LoadedModel(
        model.eval(),
        processor,
        label or pretrained,
        directory,
        arguments.generation or GREEDY,
        arguments.chat_template_args or {},
        {key: value for key, value in loading.items() if value},
    )


def _placing(
    placement: Placement, known: KnownConfig, source: str, options: Mapping[str, Any], *, whole: bool
) -> dict[str, Any]:
    """Return the keyword arguments of `from_pretrained` that place the weights; a map of modules is checked first.

    Args:
        placement: where they go.
        known: the checkpoint's config and class.
        source: directory or hub name, for messages.
        options: keyword arguments of `from_pretrained`.
        whole: whether a model on one device is moved there after it was loaded; a quantised one cannot be moved.
    """
    if not placement.mapped:
        return {} if whole else {"device_map": {"": placement.device}}
    device_map = placement.options["device_map"]
    if isinstance(device_map, Mapping):
        remote = {"trust_remote_code": options["trust_remote_code"]}
        with torch.device("meta"):
            check_map(known.auto_class.from_config(known.config, **remote), device_map)
    return dict(placement.options)


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
        if lacking := needs_packages(source, "model", error):
            raise lacking from error
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
    of_accelerate = standard_logging.getLogger("accelerate")
    level = of_accelerate.level
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    of_accelerate.setLevel(standard_logging.ERROR)  # it warns of each weight that a device map leaves on the disk
    try:
        yield
    finally:
        of_accelerate.setLevel(level)
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
