"""vtbench's models inside lm-eval and lmms-eval, with RS of their visual tokens beside accuracy.

lmms-eval finds the model `vtbench` through an entry point (`manifest.py`); lm-eval has none for models, so its command
is run as `python -m vtbench_harness.lm_eval`. Importing this package imports neither harness.
"""
