"""Where defects that no motif class fits are handed in, and the classes that came of them.

Those who name defects only lay down and pick up: nobody waits for anybody.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from latticewatch.detectors.motifs.reservoir import ProposedClass, Reject

__all__ = ["MotifDesk"]

_MOST_WAITING: Final = 2048


@dataclass(slots=True)
class MotifDesk:
    """What the loop, the late thread and the worker that proposes classes share.

    Attributes
    ----------
    proposed
        Replaced as a whole, never changed.
    """

    proposed: tuple[ProposedClass, ...] = ()
    _rejects: deque[Reject] = field(default_factory=lambda: deque(maxlen=_MOST_WAITING))
    _news: threading.Event = field(default_factory=threading.Event)

    def hand_in(self, rejects: Sequence[Reject]) -> None:
        """Lay down what a frame showed; of too much the oldest is lost."""
        if rejects:
            self._rejects.extend(rejects)
            self._news.set()

    def take(self) -> list[Reject]:
        """Pick up all that lies there; only one thread does."""
        self._news.clear()
        # What is laid down meanwhile sets the news again, and is taken the next time at the latest.
        return [self._rejects.popleft() for _ in range(len(self._rejects))]

    def clear(self) -> None:
        """Forget what lies there."""
        self._rejects.clear()
        self._news.clear()

    def wait(self) -> None:
        """Return when something lies there, or when woken."""
        self._news.wait()

    def wake(self) -> None:
        """Let whoever waits go on."""
        self._news.set()
