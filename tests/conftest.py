"""One thread a process, set before torch is first imported: the tests run in as many processes as there are cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

try:
    from hypothesis import settings
except ImportError:  # the environment of `make trackers` does without
    pass
else:
    # An example has no deadline: on a busy machine any may take longer, and the time says nothing about the code.
    settings.register_profile("vtbench", deadline=None)
    settings.load_profile("vtbench")
