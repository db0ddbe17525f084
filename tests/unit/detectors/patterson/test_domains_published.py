"""The published machine beside the default, on a twin that is drawn."""

import numpy as np
import pytest

from latticewatch.detectors.patterson.domains import find_domains
from latticewatch.detectors.patterson.fringe_fit import fit_fringes
from support.twins import twin


@pytest.mark.slow
@pytest.mark.parametrize("crystal", ["hexagonal", "square", "oblique"])
def test_it_separates_by_a_reflection_of_the_smaller_domain_only(crystal: str) -> None:
    drawn = twin(crystal, seed=3)
    domains = find_domains(drawn.frame)
    assert domains is not None
    accuracies = []
    for domain in (1, 0):
        g = next(one.g_per_px for one in domains.reflections if one.domain == domain)
        result = fit_fringes(drawn.frame, g)
        at = np.round(result.columns_px_yx).astype(int)
        distance = drawn.distance_px[at[:, 0], at[:, 1]]
        smaller, larger = distance > 15, distance < -15
        normal = result.is_normal
        accuracies.append((normal[larger].mean() + (~normal[smaller]).mean()) / 2)

    of_smaller, of_larger = accuracies
    assert of_smaller > 0.75
    assert of_larger < 0.6
