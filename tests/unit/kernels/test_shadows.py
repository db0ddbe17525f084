"""Shadows of strange sites: against the definition, and what casts none."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from latticewatch.kernels.shadows import mark_shadows
from reference import shadows as reference


@given(
    seed=st.integers(0, 2**32 - 1),
    n_sites=st.integers(1, 60),
    n_strong=st.integers(0, 8),
    reach_px=st.floats(0.0, 60.0),
    share=st.floats(0.05, 1.0),
    n_unknown=st.integers(0, 3),
)
def test_shadows_are_those_of_the_definition(
    seed: int, n_sites: int, n_strong: int, reach_px: float, share: float, n_unknown: int
) -> None:
    rng = np.random.default_rng(seed)
    scores, places = rng.exponential(size=n_sites), rng.uniform(0, 100, (n_sites, 2))
    scores[rng.integers(0, n_sites, n_unknown)] = np.nan
    strong = rng.integers(0, n_sites, n_strong)
    shadow = np.zeros(n_sites, bool)
    mark_shadows(scores, places, strong, reach_px, share, shadow)
    expected = reference.mark_shadows(scores, places, strong, reach_px, share)
    assert shadow.tolist() == expected.tolist()


def test_what_is_unknown_casts_no_shadow_and_marks_stay() -> None:
    scores = np.array([10.0, 1.0, np.nan, 1.0, 1.0])
    places = np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 4.0], [np.nan, 1.0], [90.0, 0.0]])
    shadow = np.array([False, False, False, False, True])
    mark_shadows(scores, places, np.array([0, 2]), 5.0, 0.5, shadow)
    assert shadow.tolist() == [False, True, False, False, True]
