"""Tokens beside which the image enters the decoder by a further path: their scores say so, also after a resume."""

from __future__ import annotations

import numpy as np
import pytest

from vtbench.metric import Batch
from vtbench.types import Score, VisualTokens
from vtbench_redundancy.metrics.token_form import PARTIAL_PATH, TokenForm


def _form(partial: bool) -> TokenForm:
    form = TokenForm()
    tokens = np.zeros((2, 4, 3), dtype=np.float32)
    visual = {
        "connector": VisualTokens("connector", tokens, partial=partial),
        "decoder_50": VisualTokens("decoder_50", tokens),
    }
    form.of_first(Batch([], [], visual), ["connector", "decoder_50"])
    return form


@pytest.mark.parametrize("partial", [True, False])
def test_scores_of_a_partial_layer_are_flagged(partial: bool) -> None:
    scores = {
        "rs": Score(0.5, flags=("few_images",), detail={"layer": "connector"}),
        "rs_decoder_50": Score(0.5, detail={"layer": "decoder_50"}),
    }
    restored = TokenForm.of(_form(partial).arrays())
    for form in (_form(partial), restored):
        found = form.flagged(scores)
        assert (PARTIAL_PATH in found["rs"].flags) is partial
        assert "few_images" in found["rs"].flags
        assert found["rs_decoder_50"].flags == ()
