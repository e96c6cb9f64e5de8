"""A study on a real cluster has the same document as one on one machine. Slow: it is trained and measured twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ray.cluster_utils import Cluster


def test_a_study_on_two_nodes_equals_one_on_one_machine(cluster: Cluster, tmp_path: Path) -> None:
    arguments = ["--quick", "--families", "coarse,attribute", "--mix", "none", "--penalty", "none", "--seeds", "0",
                 "--steps", "4", "--items", "24", "--images", "120", "--json"]  # fmt: skip
    place = ["--executor", f"ray:address={cluster.address}"]
    documents = []
    for name, more in (("local", ["--executor", "local:workers=2"]), ("cluster", place)):
        command = [sys.executable, "-m", "vtbench", "study", *arguments, "--output", str(tmp_path / name), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        document.pop("facts")
        documents.append(document)
    assert documents[0] == documents[1]
