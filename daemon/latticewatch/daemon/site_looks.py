"""What detectors that judge the sites of a view share: who may be judged, and what is listed."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.pixel_check import near_bad_pixel
from latticewatch.daemon.sights import Budget, LatticeSight, Scene
from latticewatch.detectors.calibration import adjusted_q
from latticewatch.detectors.held import at_blocks, well_within
from latticewatch.detectors.protocols import Finding, Scores
from latticewatch.detectors.view import View

Locate = Callable[[NDArray[np.intp]], list[Finding]]
"""Takes rows of strange sites; gives what disturbs them, strongest evidence first."""


def may_be_judged(
    scene: Scene, places_yx: NDArray[np.float64], margin_px: int
) -> NDArray[np.bool_]:
    """Tell which places (N,) are far from repaired pixels and well within the crystal."""
    shape = (scene.image.shape[0], scene.image.shape[1])
    may = ~near_bad_pixel(places_yx, scene.bad_yx, shape, margin_px)
    if scene.lattice is not None:
        # Nearer to its border a window holds vacuum, or another domain.
        lock = scene.lattice.lock
        may &= at_blocks(well_within(lock), lock.step_px, places_yx)
    return may


def cut(
    scores: Scores, budget: Budget, locate: Locate
) -> tuple[tuple[Finding, ...], NDArray[np.float64]]:
    """Decide which places are defects, and where each of them is."""
    scored = np.flatnonzero(scores.scored)
    n_scored = len(scored)
    # What is larger than the budget by itself cannot pass, nor help others to.
    if budget.fdr is not None:
        scored = scored[scores.p_value[scored] <= budget.fdr]
    p_value = scores.p_value[scored]
    passed = scored[budget.passes(p_value, adjusted_q(p_value, n_scored), n_scored)]
    findings = locate(passed)
    # One defect disturbs several sites. Counted by site, it would vouch for as many false
    # ones, so the rate is controlled once more over what is left after merging.
    p_merged = np.array([finding.p_value for finding in findings])
    q_merged = adjusted_q(p_merged, n_scored)
    kept = np.arange(len(findings))
    if budget.fdr is not None:
        kept = kept[budget.passes(p_merged, q_merged, n_scored)]
    return tuple(findings[k] for k in kept), q_merged[kept]


def is_anew(scene: Scene) -> bool:
    """Tell whether the lattice was found in this frame, instead of followed from the one before."""
    return scene.lattice is None or not scene.lattice.followed


def lattice_of(view: View) -> LatticeSight:
    """Take the lattice as the sites of a view show it."""
    middle = (np.array(view.image.shape) - 1) / 2
    y, x = view.places_yx.T
    away = np.square(y - middle[0]) + np.square(x - middle[1])
    origin = view.places_yx[np.argmin(np.where(view.predicted, np.inf, away))].copy()
    return LatticeSight(view.basis_px_yx, origin, view.rms_px)
