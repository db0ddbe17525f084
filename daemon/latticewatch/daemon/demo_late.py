"""What late events add in the demo: how many came, how old, and what both find together."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from latticewatch.client import DefectEvent
from latticewatch.daemon.demo_score import (
    NS_PER_MS,
    RECENT_LATENCIES,
    Truth,
    Verdict,
    judge,
    percentile,
)

# First events whose late one may still come; more than any late detector is behind.
_REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True)
class _First:
    """A first event, judged."""

    found_yx: NDArray[np.float64]
    truth: Truth
    verdict: Verdict


@dataclass(slots=True)
class LateTally:
    """Sums over the late events of a run, and over what both events of each frame find.

    Attributes
    ----------
    n_expected
        Frames of which a first event was scored.
    n_answered
        Late events.
    ages_ms
        Of the frames, when their late events came, once connections were made.
    """

    n_expected: int = 0
    n_answered: int = 0
    n_true: int = 0
    n_false: int = 0
    n_hidden: int = 0
    n_recalled: int = 0
    ages_ms: list[float] = field(default_factory=list)
    _firsts: OrderedDict[tuple[str, int], _First] = field(default_factory=OrderedDict)

    def add_first(
        self, event: DefectEvent, found_yx: NDArray[np.float64], truth: Truth, verdict: Verdict
    ) -> None:
        """Remember a first event, as it was judged."""
        self.n_expected += 1
        self._count(verdict, 1)
        self._firsts[event.frame.session, event.frame.seq] = _First(found_yx, truth, verdict)
        if len(self._firsts) > _REMEMBERED:
            self._firsts.popitem(last=False)

    def add_late(self, event: DefectEvent, *, settled: bool) -> None:
        """Count a late event, and judge its frame anew by what both events list.

        Parameters
        ----------
        settled
            Its age counts: connections and caches are made.
        """
        self.n_answered += 1
        if settled:
            self.ages_ms.append((event.t_received_ns - event.frame.t_complete_ns) / NS_PER_MS)
        first = self._firsts.pop((event.frame.session, event.frame.seq), None)
        if first is None:
            return
        more_yx = np.array([defect.pixel_yx for defect in event.defects]).reshape(-1, 2)
        both_yx = np.concatenate([first.found_yx, more_yx])
        self._count(first.verdict, -1)
        self._count(judge(both_yx, first.truth, event.frame.shape_yx), 1)

    def age_ms(self, share: float) -> float | None:
        """Percentile of the ages; None before the first late event."""
        return percentile(self.ages_ms, share)

    def recent_age_ms(self, share: float) -> float | None:
        """Percentile of the last `RECENT_LATENCIES`: sorting all of a long run takes too long."""
        return percentile(self.ages_ms[-RECENT_LATENCIES:], share)

    def result(self) -> dict[str, Any]:  # Any: JSON
        """Sum up for a line of JSON."""
        published = self.n_true + self.n_false
        return {
            "answered": self.n_answered,
            "dropped": max(0, self.n_expected - self.n_answered),
            "p50_ms": _rounded(self.age_ms(0.5)),
            "p99_ms": _rounded(self.age_ms(0.99)),
            "precision": _rounded(self.n_true / published if published else None),
            "recall": _rounded(self.n_recalled / self.n_hidden if self.n_hidden else None),
        }

    def _count(self, verdict: Verdict, sign: int) -> None:
        self.n_true += sign * verdict.n_true
        self.n_false += sign * verdict.n_false
        self.n_hidden += sign * verdict.n_hidden
        self.n_recalled += sign * verdict.n_recalled


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
