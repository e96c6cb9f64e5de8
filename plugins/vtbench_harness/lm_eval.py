"""lm-eval's command with the model `vtbench` registered: `python -m vtbench_harness.lm_eval run --model vtbench ...`.

lm-eval 0.4.13 has no entry points for models, and looks for the model before it reads any task.
"""

from __future__ import annotations

import sys

from vtbench.errors import VtbenchError


def register_model() -> None:
    """Register the model with lm-eval, which imports it when it is used."""
    from lm_eval.api.registry import model_registry

    if "vtbench" not in model_registry:
        model_registry.register("vtbench", target="vtbench_harness.lm_eval_model:VtbenchLM")


def main() -> None:
    """Run lm-eval's command."""
    from lm_eval.__main__ import cli_evaluate

    register_model()
    try:
        cli_evaluate()
    except VtbenchError as error:
        sys.exit(f"vtbench: {error}")


if __name__ == "__main__":
    main()
