"""A model of motif classes as its file holds it, and what names defects with it."""

from dataclasses import dataclass

from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_namer import MotifNamer
from latticewatch.daemon.ports import Clock
from latticewatch.detectors.motifs.model import DETECTOR, MotifModel
from latticewatch.detectors.motifs.reservoir import Reservoir
from latticewatch.detectors.motifs.score import MotifDetector


@dataclass(frozen=True, slots=True)
class LoadedMotifs:
    """A model of motif classes, as read from its file.

    Attributes
    ----------
    model
        As read.
    artifact
        How the settings named it.
    sha256
        Of the file.
    follow
        Whether every site is followed, and its change told.
    propose_after
        Sites that must agree before a class is proposed; None: none is.
    """

    model: MotifModel
    artifact: str
    sha256: str
    follow: bool = False
    propose_after: int | None = None

    @property
    def told(self) -> str:
        """What decides what is said, for a digest."""
        follows = " followed" if self.follow else ""
        proposed = "" if self.propose_after is None else f" proposed after {self.propose_after}"
        return f"motifs {self.sha256}{follows}{proposed}"

    def namer(self, clock: Clock, desk: MotifDesk | None, *, follows: bool) -> MotifNamer:
        """Make what names defects, with buffers of its own."""
        named = (DETECTOR, self.artifact, self.sha256)
        return MotifNamer(MotifDetector(self.model), named, clock, desk=desk, follows=follows)

    def reservoir(self) -> Reservoir:
        """Make what proposes classes."""
        return Reservoir(self.model, propose_after=self.propose_after or 5)

    def class_of(self, row: int) -> tuple[int, str]:
        """Return id and name of a class of the model."""
        one = self.model.classes[row]
        return one.class_id, one.name
