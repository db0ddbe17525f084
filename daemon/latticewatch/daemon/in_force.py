"""Models that are loaded and checked, as the pipeline knows them: each makes what it is for."""

from typing import Protocol

from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_namer import MotifNamer
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Looker
from latticewatch.detectors.motifs.reservoir import Reservoir

__all__ = ["InForce", "MotifsInForce", "SymmetryInForce"]


class InForce(Protocol):
    """A model, checked, that makes its own looker."""

    @property
    def artifact(self) -> str:
        """How the settings named it."""
        ...

    @property
    def sha256(self) -> str:
        """Of the file."""
        ...

    def looker(self, clock: Clock) -> Looker:
        """Make a detector of it, with buffers of its own."""
        ...


class SymmetryInForce(InForce, Protocol):
    """A model of the symmetry maps, checked."""

    @property
    def gated(self) -> bool:
        """Whether the network in it, if any, has a say."""
        ...


class MotifsInForce(Protocol):
    """A model of motif classes, checked."""

    @property
    def artifact(self) -> str:
        """How the settings named it."""
        ...

    @property
    def sha256(self) -> str:
        """Of the file."""
        ...

    @property
    def follow(self) -> bool:
        """Whether every site is followed, and its change told."""
        ...

    @property
    def propose_after(self) -> int | None:
        """Sites that must agree before a class is proposed; None: none is."""
        ...

    @property
    def told(self) -> str:
        """What decides what is said, for a digest."""
        ...

    def namer(self, clock: Clock, desk: MotifDesk | None, *, follows: bool) -> MotifNamer:
        """Make what names defects, with buffers of its own."""
        ...

    def reservoir(self) -> Reservoir:
        """Make what proposes classes."""
        ...

    def class_of(self, row: int) -> tuple[int, str]:
        """Return id and name of a class of the model."""
        ...
