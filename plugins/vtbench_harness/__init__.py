"""vtbench models inside lm-eval and lmms-eval, with RS beside their accuracy.

In: the questions of those harnesses. Out: answers for them, the redundancy of the visual tokens on the same pictures.
lmms-eval finds the model `vtbench` through an entry point (`manifest.py`); lm-eval has none for models, so its command
is run through `python -m vtbench_harness.lm_eval`. Importing this package imports neither harness.
"""
