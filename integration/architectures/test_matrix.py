"""Every image-text model type of transformers, on a tiny checkpoint: what vtbench can do with it is what is written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matrix_row import fresh_row
from tiny_checkpoints import mapped_types

from vtbench_hf import matrix

COMMITTED = {row.model_type: row for row in matrix.read()}
REWRITE = "`make matrix` writes the matrix anew, where the change is meant"


@pytest.mark.parametrize("model_type", mapped_types())
def test_the_row_of_a_type_is_that_of_a_fresh_probe(model_type):
    assert model_type in COMMITTED, f"transformers has a new type: it needs a recipe, or a reason; {REWRITE}"
    row = fresh_row(model_type)
    known = COMMITTED[model_type]
    assert replace(row, why="") == replace(known, why=""), f"{row.why}\n{REWRITE}"
