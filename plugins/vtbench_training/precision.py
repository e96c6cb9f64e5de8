"""Which number format the forward pass has: a device in, a dtype out."""

from __future__ import annotations

import torch


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the format of the forward pass: `auto` is bfloat16 where the hardware multiplies it, else float32."""
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    can = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32
