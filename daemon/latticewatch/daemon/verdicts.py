"""What several detectors say of a frame becomes one answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.outlined import Findings, merge_outlined
from latticewatch.daemon.point_findings import merge_findings
from latticewatch.daemon.sights import LatticeSight, Sight
from latticewatch.detectors.protocols import Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one frame.

    Attributes
    ----------
    quality
        Words of the protocol.
    sights
        What each detector said.
    n_sites, n_scored
        Places where a defect could be, and those that were judged. None judged: nothing is known,
        and `quality` says why.
    findings
        Past the cut, strongest first.
    q_value : (F,)
        Of the findings.
    lattice
        Of the frame, None where nobody found one.
    n_domains
        At least 1.
    """

    quality: tuple[str, ...]
    sights: tuple[Sight, ...] = ()
    n_sites: int = 0
    n_scored: int = 0
    findings: tuple[Finding, ...] = ()
    q_value: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    lattice: LatticeSight | None = None
    n_domains: int = 1


def verdict_of(
    quality: tuple[str, ...], sights: Sequence[Sight], period_px: float = 0.0
) -> Verdict:
    """Put together what the detectors say; the first of points that answers leads.

    Parameters
    ----------
    quality
        What the pixels say, words of the protocol.
    sights
        The most precise detector first. Where one answers, the frame is answered, and what keeps
        others from an answer is said in their own state. One of lines and patches leads where no
        detector of points answers.
    period_px
        Of the lattice, where no detector says it; 0 where nobody knows.
    """
    answers = sorted((sight for sight in sights if sight.n_scored), key=lambda one: one.is_extended)
    if not answers:
        faults = list(dict.fromkeys(word for sight in sights for word in sight.faults))
        # A lattice that a model does not know is a lattice.
        if "model_stale" in faults and "not_periodic" in faults:
            faults.remove("not_periodic")
        n_sites = max((sight.n_sites for sight in sights), default=0)
        return Verdict((*quality, *faults), tuple(sights), n_sites, lattice=_lattice(sights))
    first = answers[0]
    period_px = _period_px(answers) or period_px
    points = _all_points([sight for sight in answers if not sight.is_extended])
    lines = _all_lines([sight for sight in sights if sight.is_extended], period_px)
    findings, q_value = _together(points, lines)
    return Verdict(
        quality=quality,
        sights=tuple(sights),
        n_sites=first.n_sites,
        n_scored=first.n_scored,
        findings=findings,
        q_value=q_value,
        lattice=_lattice(answers),
        n_domains=max(sight.n_domains or 1 for sight in sights),
    )


def _all_points(answers: Sequence[Sight]) -> Findings:
    """Points of all detectors that answer, each place once."""
    if not answers:
        return (), np.empty(0)
    first = answers[0]
    findings, q_value = first.findings, first.q_value
    for other in answers[1:]:
        both = (findings, q_value), (other.findings, other.q_value)
        findings, q_value = merge_findings(*both, _period_px([first, other]))
    return findings, q_value


def _all_lines(extended: Sequence[Sight], period_px: float) -> Findings:
    """Lines and patches of all detectors, each once."""
    merged: Findings = ((), np.empty(0))
    for sight in extended:
        merged = merge_outlined(merged, (sight.findings, sight.q_value), period_px)
    return merged


def _together(points: Findings, lines: Findings) -> Findings:
    """Put lines and patches among the points, strongest first."""
    if not lines[0]:
        return points
    findings = [*points[0], *lines[0]]
    q_value = np.concatenate([points[1], lines[1]])
    order = sorted(range(len(findings)), key=lambda k: findings[k].p_value)
    return tuple(findings[k] for k in order), q_value[order]


def _lattice(sights: Sequence[Sight]) -> LatticeSight | None:
    return next((sight.lattice for sight in sights if sight.lattice is not None), None)


def _period_px(sights: Sequence[Sight]) -> float:
    """Square root of the cell's area; zero, so that nothing is merged, where nobody knows it."""
    lattice = _lattice(sights)
    return 0.0 if lattice is None else float(np.sqrt(abs(np.linalg.det(lattice.basis_px_yx))))
