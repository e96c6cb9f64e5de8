"""Load a causal language model and its tokenizer, from a checkpoint of transformers or from a GGUF file."""

from __future__ import annotations

import struct
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from vtbench.errors import AdapterError
from vtbench.runs.json_file import read_object
from vtbench_hf.chat_template import check_template_args, choose_template
from vtbench_hf.checkpoint.arguments import LoadArguments, as_bool
from vtbench_hf.checkpoint.config import is_offline
from vtbench_hf.checkpoint.files import check_weights
from vtbench_hf.checkpoint.loader import (
    GREEDY,
    LoadedModel,
    choose_dtype,
    load_model,
    make_greedy,
    quiet,
)
from vtbench_hf.checkpoint.placement import choose_device
from vtbench_hf.errors import first_line, out_of_memory_as
from vtbench_language.text_processor import TextProcessor

GGUF_PACKAGES = ("gguf", "accelerate")
"""What transformers needs to read a GGUF file."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a checkpoint is."""

    name: str
    """A directory, or a name on the hub."""
    gguf_file: str | None = None
    """Name of a GGUF file in it, which then holds everything."""

    @property
    def directory(self) -> Path | None:
        """The directory; None on the hub."""
        path = Path(self.name)
        return path if path.is_dir() else None


def find_source(adapter: str, pretrained: str | None, gguf_file: str | None) -> Source:
    """Return where a checkpoint is: a directory, a GGUF file or a directory with one, or a name on the hub.

    Raises:
        AdapterError: none is named, or it is not clear which of a directory's GGUF files is meant.
    """
    if not pretrained:
        raise AdapterError(
            f"--model {adapter} needs a causal language model:"
            " --model-args pretrained=<directory, GGUF file, or hub name like org/model>"
        )
    path = Path(pretrained).expanduser()
    if path.suffix.lower() == ".gguf" and not path.is_dir():
        if not path.is_file():
            raise AdapterError(f"--model {adapter}: there is no file {pretrained!r}")
        if gguf_file not in (None, path.name):
            raise AdapterError(f"--model {adapter}: pretrained= names one GGUF file, and gguf_file= another")
        return Source(str(path.parent), path.name)
    if not path.is_dir():
        return Source(pretrained, gguf_file)
    found = sorted(file.name for file in path.glob("*.gguf"))
    if gguf_file is not None and gguf_file not in found:
        has = f"its GGUF files are {', '.join(found)}" if found else "it has no GGUF file"
        raise AdapterError(f"{path} has no file {gguf_file!r}; {has}")
    if gguf_file is None and found and not (path / "config.json").exists():
        if len(found) > 1:
            raise AdapterError(f"{path} has several GGUF files: choose one with gguf_file=NAME, of {', '.join(found)}")
        return Source(str(path), found[0])
    return Source(str(path), gguf_file)


def load(adapter: str, arguments: LoadArguments, gguf_file: str | None = None) -> LoadedModel:
    """Load a causal language model.

    Args:
        adapter: name of the adapter, for messages.
        arguments: which checkpoint, and how to load it.
        gguf_file: a GGUF file in it, which is loaded in place of its other weights.

    Raises:
        AdapterError: the checkpoint cannot be used.
        ImportError: it is a GGUF file, and a package that reads it is missing.
    """
    source = find_source(adapter, arguments.pretrained, gguf_file)
    device = choose_device(arguments.device)
    dtype = choose_dtype(arguments.dtype, device)
    options: dict[str, Any] = {"trust_remote_code": as_bool("trust_remote_code", arguments.trust_remote_code)}
    if source.gguf_file:
        for package in GGUF_PACKAGES:
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"a GGUF file is read with the package {package!r}", name=package)
        options["gguf_file"] = source.gguf_file
    file = source.gguf_file or "config.json"
    hub: dict[str, Any] = {}
    if source.directory is None:
        hub = {"revision": arguments.revision, "local_files_only": is_offline(adapter, source.name, file)}
    options |= hub
    # Transformers draws a bar while it unpacks a GGUF file, whatever its settings say; faults are exceptions.
    with quiet(), redirect_stderr(StringIO()) if source.gguf_file else nullcontext():
        _check_config(adapter, source, options)
        processor = _load_processor(source, options, arguments.chat_template)
        check_template_args(processor, arguments.chat_template_args or {}, adapter)
        weights = Path(transformers.utils.cached_file(source.name, file, **hub))
        if source.gguf_file is None:
            weights = weights.parent
            check_weights(weights)
        model = load_model(
            transformers.AutoModelForCausalLM,
            source.name,
            options | _unpacked(source),
            dtype,
            arguments.attn_implementation,
        )
    make_greedy(model.generation_config, processor.tokenizer)
    with out_of_memory_as(AdapterError, f"{source.name} does not fit into the memory of {device}; try dtype=bfloat16"):
        model = model.to(device)
    return LoadedModel(
        model.eval(),
        processor,
        str(arguments.pretrained),
        weights,
        arguments.generation or GREEDY,
        arguments.chat_template_args or {},
    )


def _check_config(adapter: str, source: Source, options: dict[str, Any]) -> None:
    """Raise `AdapterError` where a checkpoint is no causal language model, or its config cannot be read."""
    directory = source.directory
    if directory is not None and source.gguf_file is None:
        if not (directory / "config.json").exists():
            hint = "a checkpoint of a language model holds config.json, weights and tokenizer, or is a GGUF file"
            if (directory / "adapter_config.json").exists():
                hint = "it holds a LoRA adapter; merge it into its base model first"
            raise AdapterError(f"{directory} has no config.json: {hint}")
        read_object(directory / "config.json", AdapterError, "; copy or download it again")
    try:
        config = transformers.AutoConfig.from_pretrained(source.name, **options)
    except _UNREADABLE as error:
        what = source.gguf_file or "its config"
        raise AdapterError(f"{source.name}: {what} cannot be used ({first_line(error)})") from error
    remote = options["trust_remote_code"] and "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {})
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not remote:
        architectures = ", ".join(config.architectures or []) or "no architecture named"
        raise AdapterError(
            f"{source.name} is a {config.model_type!r} checkpoint ({architectures}), not a causal language model:"
            f" --model {adapter} needs one that AutoModelForCausalLM loads (llama, qwen2, gemma, mistral, ...)"
        )


def _load_processor(source: Source, options: dict[str, Any], chat_template: str | None) -> TextProcessor:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.name, **options)
    except (*_UNREADABLE, AttributeError, ImportError) as error:
        raise AdapterError(f"{source.name}: its tokenizer cannot be loaded ({first_line(error)})") from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:  # padding is masked, so that any token will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    processor = TextProcessor(tokenizer)
    processor.chat_template = choose_template(processor, source.name, chat_template)
    return processor


def _unpacked(source: Source) -> dict[str, Any]:
    """Return the option that unpacks a GGUF file's weights into the dtype that was asked for.

    Newer versions of transformers otherwise compute on the packed blocks wherever they find kernels for that, with
    other numbers on each machine.
    """
    config = getattr(transformers, "GgufConfig", None) if source.gguf_file else None
    return {"quantization_config": config(dequantize=True)} if config else {}


_UNREADABLE = (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, struct.error, StrictDataclassError)
"""What transformers and gguf raise at a file that is not what it should be."""
