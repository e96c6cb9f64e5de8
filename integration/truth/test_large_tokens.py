"""Tokens that do not fit into the memory that a score may take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from redundancy_fakes import copies, white

PEAK = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from vtbench_redundancy.protocol import Protocol
from vtbench_redundancy.inputs.array_files import open_array
from vtbench_redundancy.suite import score_arrays
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
before = peak()
found = score_arrays(open_array(sys.argv[1]), patches=np.load(sys.argv[2]), protocol=Protocol(r=4, basis_images=64))
print(found.redundancy.rs.value, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files, and ru_maxrss in KiB")
def test_1_gib_of_tokens_takes_less_than_700_mib(tmp_path: Path) -> None:
    """1024 images of 64 tokens of 4096 dimensions; 8 places are told twice, 48 tokens are zero."""
    shape, pixels = (1024, 64, 4096), white(1024, 8, 4)
    tokens = np.lib.format.open_memmap(tmp_path / "tokens.npy", "w+", np.float32, shape)
    tokens[:, :16, :4] = copies(pixels, 2)
    del tokens
    np.save(tmp_path / "patches.npy", pixels)
    assert (tmp_path / "tokens.npy").stat().st_size > 2**30
    command = [sys.executable, "-c", PEAK, str(tmp_path / "tokens.npy"), str(tmp_path / "patches.npy")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rs, peak = map(float, done.stdout.split())
    assert rs == pytest.approx(0.5, abs=0.01)
    assert peak < 700  # MiB
