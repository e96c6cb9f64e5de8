"""Make torchvision importable with the CPU build of torch by declaring two of its operators.

The Linux wheel of torchvision on PyPI is compiled against CUDA. Without CUDA's libraries its operators are missing.
torchvision tolerates that except in one place: it registers fake implementations of two operators, and torch refuses
these for operators that were never declared. transformers and vLLM use torchvision for image transforms, which need no
operator. If torchvision has its operators, or is not there, this changes nothing. `make` runs it in each environment
that it installs.
"""

from importlib.metadata import distributions
from pathlib import Path

DECLARATION = """

if not _has_ops():  # by vtbench's integration/declare_operators.py
    for _name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""

for torchvision in distributions(name="torchvision"):
    module = Path(str(torchvision.locate_file("torchvision/extension.py")))
    if DECLARATION not in module.read_text():
        module.write_text(module.read_text() + DECLARATION)
