"""One thread a process, set before torch is first imported: the tests run in two processes."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
