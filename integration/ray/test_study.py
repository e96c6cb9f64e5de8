"""A whole study on a real cluster finds what one machine finds. Slow: it is trained and measured twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ray.cluster_utils import Cluster


def test_a_study_on_two_nodes_finds_what_one_machine_finds(cluster: Cluster, tmp_path: Path) -> None:
    arguments = ["--quick", "--families", "coarse,attribute", "--mix", "none", "--penalty", "none", "--seeds", "0",
                 "--steps", "4", "--items", "24", "--images", "120", "--json"]  # fmt: skip
    place = ["--executor", "ray", "--address", cluster.address]
    found = []
    for name, more in (("here", ["--workers", "2"]), ("there", place)):
        command = [sys.executable, "-m", "vtbench", "study", *arguments, "--output", str(tmp_path / name), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        document.pop("facts")
        found.append(document)
    assert found[0] == found[1]
