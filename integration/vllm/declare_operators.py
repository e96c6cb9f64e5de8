"""Make torchvision import beside the CPU build of torch: an environment in, two operators declared in it out.

The wheel of torchvision that PyPI has for Linux is compiled against CUDA. Without CUDA's libraries its operators are
missing, which it allows for, but for one place: it describes two of them to the compiler, and torch refuses to have an
operator described that nobody declared. vLLM wants torchvision for the transforms of pictures, which need no operator.
Where torchvision brings its operators, this changes nothing.
"""

from importlib.metadata import files
from pathlib import Path

DECLARATION = """

if not _has_ops():  # by vtbench's integration/vllm: see there
    for _name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""

extension = next(path for path in files("torchvision") or () if path.as_posix() == "torchvision/extension.py")
module = Path(str(extension.locate()))
if DECLARATION not in module.read_text():
    module.write_text(module.read_text() + DECLARATION)
