"""The balance of frames as metrics, computed when somebody asks."""

from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from latticewatch.daemon.ledger import Counts


class FrameCollector(Collector):
    """The balance of frames, all of one instant."""

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        """Read the balance once, and tell all of it."""
        counts = self._counts()
        plain = {
            "frames_received": (counts.received, "Frames admitted, each once"),
            "frames_processed": (counts.processed, "Frames that got an event"),
            "frames_duplicate": (counts.duplicate, "Frames that came again"),
            "frames_late": (counts.late, "Frames that came after a newer one"),
            "frames_old_session": (counts.old_session, "Messages of a session that was replaced"),
        }
        for name, (value, text) in plain.items():
            yield CounterMetricFamily(f"latticewatch_{name}", text, value=value)
        dropped = CounterMetricFamily(
            "latticewatch_frames_dropped", "Frames admitted and not processed", labels=["reason"]
        )
        for reason, n_frames in counts.dropped.items():
            dropped.add_metric([reason], n_frames)
        yield dropped
        missing = CounterMetricFamily(
            "latticewatch_frames_missing", "Numbers whose frame never came", labels=["cause"]
        )
        for cause, n_frames in counts.missing.items():
            missing.add_metric([cause], n_frames)
        yield missing
        yield GaugeMetricFamily(
            "latticewatch_frames_in_flight", "Frames admitted and not settled", counts.in_flight
        )
        yield GaugeMetricFamily(
            "latticewatch_frames_unaccounted",
            "Numbers without a fate: anything but 0 is a bug",
            counts.unaccounted,
        )
