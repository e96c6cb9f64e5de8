"""One thread a process, set before torch is first imported: a checkpoint is probed in each of two processes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
