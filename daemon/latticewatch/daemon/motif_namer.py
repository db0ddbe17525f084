"""Motifs in the pipeline: they find nothing, and name what others found.

The sites of each domain are those of its own lattice and mean cell. Where the model does not fit a
frame, its defects go out without a name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.lookers import ARITHMETIC
from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_domains import DomainNamer, DomainSight, Standing
from latticewatch.daemon.outcome import MotifView
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Scene, Sight
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.motifs.model import DETECTOR
from latticewatch.detectors.motifs.reservoir import ProposedClass
from latticewatch.detectors.motifs.score import MotifDetector
from latticewatch.detectors.polarity import contrast_of_channel, contrast_of_frame
from latticewatch.detectors.protocols import Finding

__all__ = ["MotifNamer", "MotifSight"]


@dataclass(frozen=True, slots=True)
class MotifSight:
    """What the motif classes say of one frame.

    Attributes
    ----------
    findings
        As given, in their order; points with their names.
    sight
        State of the model, time and note; it has found nothing.
    changes
        Sites whose class is another than before.
    counts
        Findings by what was said of them: named, new, unscored.
    view
        Every site, where that was asked for.
    """

    findings: tuple[Finding, ...]
    sight: Sight
    changes: tuple[SiteChange, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    view: MotifView | None = None


class MotifNamer:
    """Names the findings of one frame after the other; buffers of its own, one thread.

    Parameters
    ----------
    detector
        Of the model; nobody else uses it.
    named
        Detector, artifact, SHA-256.
    clock
        Times it.
    desk
        Gets what no class fits, and gives the classes that are proposed; None: neither.
    follows
        Whether every site is followed, and its change told.
    """

    def __init__(
        self,
        detector: MotifDetector,
        named: tuple[str, str, str],
        clock: Clock,
        *,
        desk: MotifDesk | None = None,
        follows: bool = False,
    ) -> None:
        self._detector, self._named, self._clock = detector, named, clock
        self._desk, self._follows = desk, follows
        self._trust = ModelTrust(*named)
        self._proposed: tuple[ProposedClass, ...] = ()
        self._classes = ClassBook(detector.model)
        self._chain = -1
        self._contrast = 1
        self._domains: dict[int, DomainNamer] = {}
        self._last_note = ""
