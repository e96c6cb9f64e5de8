"""Runs that SIGKILL ends at random moments: resumed, each has the scores of a run that nothing interrupted."""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

from killed_runs import Bench, end, kill_after, start

KILLS = 52
"""For each of the two models."""


def test_killed_at_any_moment_and_resumed(bench: Bench, tmp_path: Path, rng: Random) -> None:
    kills = runs = 0
    while kills < KILLS:
        output = tmp_path / str(runs)
        runs += 1
        for _ in range(rng.randint(1, 4)):
            status = kill_after(start(lambda output=output: bench.go_on(output)), rng.uniform(0, bench.seconds))
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
        assert end(start(lambda output=output: bench.go_on(output))) == 0
        finished = [path for path in output.iterdir() if (path / "results.json").exists()]
        assert len(finished) == 1, "and what was killed before its run.json is not taken for a run"
        bench.check(finished[0])
    assert runs < 2 * KILLS
