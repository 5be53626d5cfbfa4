"""The table of NFW shapes against the closed forms, inside and outside its range."""

import numpy as np
from numpy.testing import assert_allclose

from clmassmod.core import nfw, nfw_table


def test_table_agrees_with_the_closed_forms():
    ln_x = np.random.default_rng(1).uniform(-17.9, 13.9, (300, 40))
    sigma, delta = nfw_table.shapes(ln_x)
    exact, mean = nfw.shapes(np.exp(ln_x))
    assert_allclose(sigma, exact, rtol=1e-8)
    assert_allclose(delta, mean - exact, rtol=1e-8)


def test_outside_its_range_the_closed_forms_answer():
    for ln_x in (np.array([-18.5, 0.0]), np.array([0.0, 14.0])):
        sigma, delta = nfw_table.shapes(ln_x)
        exact, mean = nfw.shapes(np.exp(ln_x))
        assert_allclose(sigma, exact, rtol=1e-12)
        assert_allclose(delta, mean - exact, rtol=1e-12)
    assert nfw_table.shapes(np.empty((0, 3)))[0].shape == (0, 3)
