"""An environment without lmms-eval, whatever else is installed."""

raise ModuleNotFoundError("No module named 'lmms_eval'", name="lmms_eval")
