"""Where visual tokens look, measured: it is what the processor states, and what is known of a trained tower."""

from __future__ import annotations

import numpy as np
import probed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtbench.registry import Registry
from vtbench_hf.entry.boxes import grid_through, measured_boxes, stated_grid
from vtbench_hf.probed_adapter import ProbedAdapter
from vtbench_hf.token_boxes import grid


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("size", [(112, 112), (168, 112)])
def test_the_measured_grid_is_the_one_that_the_processor_states(model_type, size):
    made = probed.adapter(model_type)
    inputs = made.model_inputs(probed.samples(made, (size,)))
    tokens = made._rows_of(inputs)[0]
    stated = stated_grid(inputs, len(tokens))
    assert stated is not None
    measured = measured_boxes(made._tokens_of, size)
    np.testing.assert_array_equal(measured, grid(*stated))
    np.testing.assert_array_equal(made.token_boxes(size, "connector"), grid(*stated))


@pytest.mark.parametrize("model_type", ["mistral3", "gemma4"])
def test_a_grid_that_nobody_states_is_measured(model_type):
    made = probed.adapter(model_type)
    for size in ((112, 112), (168, 112)):
        (visual,) = made.visual_tokens(probed.samples(made, (size,)), ["connector"])
        rows = len({box[1] for box in visual.boxes.tolist()})
        columns = len({box[0] for box in visual.boxes.tolist()})
        assert rows * columns == visual.tokens.shape[1]
        assert (columns > rows) == (size[0] > size[1])


@pytest.mark.parametrize("model_type", ["instructblip", "florence2"])
def test_tokens_that_read_the_whole_image_have_no_place(model_type):
    made = probed.adapter(model_type)
    (visual,) = made.visual_tokens(probed.samples(made)[:1], ["connector"])
    assert visual.boxes is None


def test_a_trained_tower_is_measured_as_it_is_known():
    own = Registry().adapter("llava", {}, "cpu", "float32")
    door = ProbedAdapter(own.loaded)
    size = (own.image_size, own.image_size)
    np.testing.assert_array_equal(measured_boxes(door._tokens_of, size), own.token_boxes(size, "connector"))


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 999))
def test_centres_near_a_grid_show_it(rows, columns, seed):
    boxes = grid(rows, columns)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    noise = np.random.default_rng(seed).uniform(-0.02, 0.02, middle.shape)
    np.testing.assert_array_equal(grid_through(middle + noise), boxes)


def test_centres_in_another_order_show_none():
    boxes = grid(4, 4)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    shuffled = np.random.default_rng(0).permutation(16)
    assert grid_through(middle[shuffled]) is None
    assert grid_through(np.full((16, 2), 0.5)) is None
