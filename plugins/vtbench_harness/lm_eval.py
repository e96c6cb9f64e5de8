"""lm-eval's own command with the model `vtbench` in it: `python -m vtbench_harness.lm_eval run --model vtbench ...`.

lm-eval 0.4.13 finds models by name in a registry that only code can add to, before it reads any task.
"""

from __future__ import annotations

import sys

from vtbench.errors import VtbenchError


def offer() -> None:
    """Tell lm-eval of the model; what the model needs is imported when it is asked for."""
    from lm_eval.api.registry import model_registry

    if "vtbench" not in model_registry:
        model_registry.register("vtbench", target="vtbench_harness.lm_eval_model:VtbenchLM")


def main() -> None:
    """Run lm-eval's command."""
    from lm_eval.__main__ import cli_evaluate

    offer()
    try:
        cli_evaluate()
    except VtbenchError as error:
        sys.exit(f"vtbench: {error}")


if __name__ == "__main__":
    main()
