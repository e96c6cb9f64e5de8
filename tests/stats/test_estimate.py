"""The noun, Student's t, and the package as a whole: its doctests, and what importing it costs."""

import doctest
import math
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest
from scipy.stats import norm, t

from vtbench import stats
from vtbench.stats import Estimate, t_interval
from vtbench.stats.estimate import t_p_value, t_quantile

MODULES = [f"vtbench.stats.{module.name}" for module in iter_modules(stats.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_right(name):
    found = doctest.testmod(import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_it_does_not_load_the_slow_half_of_scipy():
    loaded = "import sys, vtbench.stats; print('scipy.stats' in sys.modules, 'scipy.special' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("freedom", [1, 9, 249, 1e6])
def test_quantiles_and_p_values_are_scipys(freedom):
    assert t_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=1e-12)
    assert t_p_value(-1.7, freedom) == pytest.approx(2 * t.sf(1.7, freedom), rel=1e-12)


def test_infinitely_many_degrees_of_freedom_are_the_normal_distribution():
    assert t_quantile(math.inf) == norm.ppf(0.975)
    assert t_p_value(2.0, math.inf) == pytest.approx(2 * norm.sf(2.0), rel=1e-12)


def test_the_interval_is_students_and_clipped():
    assert t_interval(0.5, 0.1, 9) == pytest.approx(t.interval(0.95, 9, 0.5, 0.1))
    assert t_interval(0.9, 0.1, 9, limits=(0.0, 1.0)) == (pytest.approx(0.9 - 0.1 * t.ppf(0.975, 9)), 1.0)


def test_without_an_interval_the_ends_are_infinite_and_a_row_has_none():
    unknown = Estimate(0.5)
    assert (unknown.low, unknown.high) == (-math.inf, math.inf)
    assert unknown.row() == {"value": 0.5, "low": None, "high": None}


def test_a_rescaled_estimate_keeps_what_is_unknown():
    found = Estimate(None, flags=("empty",)).rescaled(zero=0.25, one=1.0)
    assert (found.value, found.stderr, found.interval, found.flags) == (None, None, None, ("empty",))
    assert Estimate(0.25, 0.03, (0.1, 0.4), 8, 4, p=0.5).rescaled(0.25, 1.0).stderr == pytest.approx(0.04)


def test_a_score_has_the_estimates_numbers_and_flags():
    score = Estimate(0.5, 0.1, (0.3, 0.7), 20, 10, flags=("one",)).score(chance=0.25, flags=("two",), percent=False)
    assert (score.value, score.stderr, score.interval, score.n) == (0.5, 0.1, (0.3, 0.7), 20)
    assert (score.chance, score.flags, score.percent) == (0.25, ("one", "two"), False)
