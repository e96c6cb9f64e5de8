"""The executor that is always there, `local`, and what any executor runs: one worker of a run, one process of a job."""
