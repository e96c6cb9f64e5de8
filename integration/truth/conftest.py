"""One thread a process, set before torch is first imported, and the made-up data of the tests of the same plugins."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).parents[2] / "tests"
sys.path += [str(TESTS / name) for name in ("probes", "redundancy")]
