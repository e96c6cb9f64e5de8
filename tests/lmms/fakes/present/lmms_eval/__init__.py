"""What the worker uses of lmms-eval, and models that behave as its models do, at their worst."""
