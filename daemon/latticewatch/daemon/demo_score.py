"""What the demo found against what the simulator hid: matching, precision, recall, latency.

Pure bookkeeping over arrays and numbers. It knows neither sockets nor the terminal.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

# A published place is right within this share of the lattice period: half the distance at which
# it would be as near to the next column of a honeycomb (0.58 a).
TOLERANCE_PERIODS = 0.25
# Nearer to the border than a patch radius (0.73 a for the default patch) no site is scored.
MARGIN_PERIODS = 0.75
RECENT_LATENCIES = 900  # half a minute at 30 frames/s: what the live view's percentiles speak of
NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Truth:
    """What the simulator put into one frame: places [y, x] in px, kinds and lattice period."""

    pixel_yx: NDArray[np.float64]
    kinds: tuple[str, ...]
    period_px: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One frame judged: for each published defect and each hidden one, what became of it.

    `truth_of` names for each published defect the hidden one it matched, -1 for none. The other
    two say which are asked for at all: both are away from the border.
    """

    truth_of: NDArray[np.intp]
    found_counts: NDArray[np.bool_]
    truth_counts: NDArray[np.bool_]

    @property
    def n_true(self) -> int:
        """Published defects that are real."""
        return int(np.count_nonzero((self.truth_of >= 0) & self.found_counts))

    @property
    def n_false(self) -> int:
        """Published defects where nothing is wrong."""
        return int(np.count_nonzero((self.truth_of < 0) & self.found_counts))

    @property
    def n_hidden(self) -> int:
        """Hidden defects that a detector is asked for."""
        return int(np.count_nonzero(self.truth_counts))

    @property
    def n_recalled(self) -> int:
        """Hidden defects that were published."""
        matched = np.zeros(self.truth_counts.size, bool)
        matched[self.truth_of[self.truth_of >= 0]] = True
        return int(np.count_nonzero(matched & self.truth_counts))


def match_places(
    found_yx: NDArray[np.float64], truth_yx: NDArray[np.float64], tolerance_px: float
) -> NDArray[np.intp]:
    """Pair places one to one, as many as possible and then as near as possible.

    Parameters
    ----------
    found_yx, truth_yx : (N, 2), (M, 2)
        Places in px.
    tolerance_px
        Pairs farther apart than this do not count.

    Returns
    -------
    (N,)
        For each found place its row in `truth_yx`, -1 without one.
    """
    partner = np.full(len(found_yx), -1, np.intp)
    if not len(found_yx) or not len(truth_yx):
        return partner
    distance = np.linalg.norm(found_yx[:, None] - truth_yx[None], axis=2)
    # A pair beyond the tolerance costs more than all others together, so none displaces a good one.
    hopeless = tolerance_px * (1 + min(distance.shape)) * 2
    rows, columns = linear_sum_assignment(np.where(distance <= tolerance_px, distance, hopeless))
    near = distance[rows, columns] <= tolerance_px
    partner[rows[near]] = columns[near]
    return partner


def judge(found_yx: NDArray[np.float64], truth: Truth, shape_yx: tuple[int, int]) -> Verdict:
    """Compare the defects of one frame with the truth.

    Everything is matched, also at the border; only then the border is left out. Otherwise a pair
    that straddles the margin would be one false and one missed defect.
    """
    margin_px = MARGIN_PERIODS * truth.period_px

    def away_from_border(places: NDArray[np.float64]) -> NDArray[np.bool_]:
        last = np.asarray(shape_yx, np.float64) - 1 - margin_px
        inside: NDArray[np.bool_] = np.all((places >= margin_px) & (places <= last), axis=1)
        return inside

    return Verdict(
        truth_of=match_places(found_yx, truth.pixel_yx, TOLERANCE_PERIODS * truth.period_px),
        found_counts=away_from_border(found_yx),
        truth_counts=away_from_border(truth.pixel_yx),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """Value that `share` (0..1) of all do not exceed; None of nothing."""
    return float(np.quantile(values, share, method="higher")) if values else None


@dataclass(slots=True)
class Tally:
    """Sums over the frames of a run.

    Parameters
    ----------
    settle_ns
        Events that arrive within this time of the first one are counted, and left out of the
        latencies: connections and caches are still being made.
    """

    settle_ns: int = 1_000_000_000
    n_events: int = 0
    n_scored: int = 0
    n_true: int = 0
    n_false: int = 0
    n_hidden: int = 0
    n_recalled: int = 0
    n_dropped: int = 0
    n_dropped_settled: int = 0
    n_missing: int = 0
    first_ns: int = 0
    last_ns: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    recent_ms: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_LATENCIES))

    def add_event(self, *, received_ns: int, sent_ns: int, dropped: int, missing: int) -> None:
        """Count an event of the frame that was sent at `sent_ns`, both UTC."""
        if self.n_events == 0:
            self.first_ns = received_ns
        self.n_events += 1
        self.last_ns = received_ns
        self.add_losses(received_ns=received_ns, dropped=dropped, missing=missing)
        latency_ms = (received_ns - sent_ns) / NS_PER_MS
        self.recent_ms.append(latency_ms)
        if self.is_settled(received_ns):
            self.latencies_ms.append(latency_ms)

    def is_settled(self, received_ns: int) -> bool:
        """Whether what came at this time, UTC, counts for latencies."""
        return received_ns - self.first_ns >= self.settle_ns

    def add_losses(self, *, received_ns: int, dropped: int, missing: int) -> None:
        """Count what an event, first or late, says was lost since the one before."""
        self.n_dropped += dropped
        self.n_missing += missing
        if self.is_settled(received_ns):
            self.n_dropped_settled += dropped

    def add_verdict(self, verdict: Verdict) -> None:
        """Count what a scored frame found and missed."""
        self.n_scored += 1
        self.n_true += verdict.n_true
        self.n_false += verdict.n_false
        self.n_hidden += verdict.n_hidden
        self.n_recalled += verdict.n_recalled

    @property
    def precision(self) -> float | None:
        """Share of the published defects that are real; None while nothing was published."""
        published = self.n_true + self.n_false
        return self.n_true / published if published else None

    @property
    def recall(self) -> float | None:
        """Share of the hidden defects that were published; None while nothing was hidden."""
        return self.n_recalled / self.n_hidden if self.n_hidden else None

    @property
    def fps(self) -> float:
        """Events per second between the first and the last."""
        elapsed_s = (self.last_ns - self.first_ns) / 1e9
        return (self.n_events - 1) / elapsed_s if elapsed_s > 0 else 0.0

    def latency_ms(self, share: float) -> float | None:
        """Percentile of all settled latencies, of the recent ones before there are any."""
        return percentile(self.latencies_ms or list(self.recent_ms), share)

    def recent_latency_ms(self, share: float) -> float | None:
        """Percentile of the last `RECENT_LATENCIES`: sorting all of a long run takes too long."""
        return percentile(self.latencies_ms[-RECENT_LATENCIES:] or list(self.recent_ms), share)
