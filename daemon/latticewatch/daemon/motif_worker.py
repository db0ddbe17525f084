"""The thread that proposes motif classes: at most once a second, and only when there are news."""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from latticewatch.daemon.books import Books
from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.ports import Announcer
from latticewatch.daemon.sights import ARITHMETIC
from latticewatch.detectors.motifs.reservoir import ProposedClass, Reservoir

__all__ = ["MotifWorker", "ProposesMotifs"]

_NICE: Final = 15  # of 19: behind the loop and the late thread
_PERIOD_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class ProposesMotifs:
    """What proposes classes of one model.

    Attributes
    ----------
    desk
        Gives rejects, takes proposals.
    reservoir
        Nobody else uses it.
    class_of
        Id and name of a class of the model, by its row.
    """

    desk: MotifDesk
    reservoir: Reservoir
    class_of: Callable[[int], tuple[int, str]]


@dataclass(slots=True, kw_only=True)
class MotifWorker:
    """Collects what no class fits, and proposes classes.

    `run` belongs to a thread of its own, `close` to anybody.

    Attributes
    ----------
    sink
        Told of each class once.
    """

    proposing: ProposesMotifs
    sink: Announcer
    books: Books
    source_name: str = ""
    _told: set[int] = field(default_factory=set, init=False)
    _closed: threading.Event = field(default_factory=threading.Event, init=False)

    @property
    def n_sites(self) -> int:
        """Sites in the reservoir; for other threads to read."""
        return self.proposing.reservoir.n_sites

    def run(self) -> None:
        """Propose until closed."""
        _step_back()
        while not self._closed.is_set():
            self.proposing.desk.wait()
            if self._closed.is_set():
                return
            self.turn()
            self._closed.wait(_PERIOD_S)

    def close(self) -> None:
        """End; what lies there is left."""
        self._closed.set()
        self.proposing.desk.wake()

    def turn(self) -> None:
        """Take what lies there, and propose what comes of it."""
        rejects = self.proposing.desk.take()
        if not rejects:
            return
        self.proposing.reservoir.add(rejects)
        try:
            proposed = self.proposing.reservoir.propose()
        except ARITHMETIC as error:
            self.books.log.refused("motifs_not_proposed", reason="arithmetic", text=str(error))
            return
        self.proposing.desk.proposed = proposed
        for one in proposed:
            if one.class_id not in self._told:
                self._told.add(one.class_id)
                self._announce(one)

    def _announce(self, one: ProposedClass) -> None:
        self.books.metrics.count_motif_proposed()
        nearest_id, nearest = self.proposing.class_of(one.nearest)
        self.sink.announce(
            "motif_proposed",
            f"{self.source_name}: {one.n_sites} defects that no motif class fits agree: class "
            f"{one.class_id} ({one.name}) is proposed; the nearest is {nearest_id} ({nearest}) at "
            f"a distance of {one.distance:.1f}",
            detail={
                "id": one.class_id,
                "name": one.name,
                "kind": one.kind,
                "n": one.n_sites,
                "nearest_id": nearest_id,
                "nearest": nearest,
                "distance": round(one.distance, 3),
            },
        )


def _step_back() -> None:
    """Let the loop come first, where the system can tell threads apart."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
