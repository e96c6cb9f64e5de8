"""The hand-made tasks of tests/imports serve here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "imports"))
