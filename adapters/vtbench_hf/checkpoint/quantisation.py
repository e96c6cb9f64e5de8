"""Loading in 8 or 4 bits with bitsandbytes; linear layers are quantised as they are read, the output layer is not.

8 bits: LLM.int8 (Dettmers et al. 2022, arXiv 2208.07339). 4 bits: NF4 with quantised scales (Dettmers et al. 2023,
arXiv 2305.14314).
"""

from __future__ import annotations

from typing import Any

import torch
import transformers

from vtbench.errors import AdapterError, nearest
from vtbench_hf.checkpoint.packages import hush_bitsandbytes, require

CHOICES = ("8bit", "4bit")


def check_quantisation(quantization: str | None) -> None:
    """Refuse an unknown quantisation, or one whose packages are missing.

    Raises:
        AdapterError: names what there is, or the packages.
    """
    if quantization is None:
        return
    if quantization not in CHOICES:
        raise AdapterError(
            f"quantization={quantization} is unknown: write {' or '.join(CHOICES)}.{nearest(quantization, [*CHOICES])}"
        )
    require(f"quantization={quantization}", "bitsandbytes", "accelerate")


def quantisation_options(quantization: str | None, source: str, config: Any, dtype: torch.dtype) -> dict[str, Any]:
    """Return the keyword arguments of `from_pretrained`; empty without a quantisation.

    Args:
        quantization: `8bit`, `4bit` or None; `check_quantisation` has accepted it.
        source: directory or hub name, for messages.
        config: of the checkpoint.
        dtype: in which 4-bit layers compute.

    Raises:
        AdapterError: the checkpoint is stored quantised.
    """
    if quantization is None:
        return {}
    if stored := getattr(config, "quantization_config", None):
        method = stored.get("quant_method", "") if isinstance(stored, dict) else getattr(stored, "quant_method", "")
        raise AdapterError(
            f"{source} is stored quantised ({getattr(method, 'value', method) or 'some method'});"
            f" leave quantization={quantization} out"
        )
    hush_bitsandbytes()
    if quantization == "8bit":
        return {"quantization_config": transformers.BitsAndBytesConfig(load_in_8bit=True)}
    return {
        "quantization_config": transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    }
