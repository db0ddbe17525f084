"""Every metric of the daemon; the table in daemon/README.md explains each.

Counters of frames are read from the accounting when somebody asks, so that all of them are of one
instant and cost the loop nothing.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from latticewatch.daemon.choosing import DETECTORS
from latticewatch.daemon.frame_metrics import FrameCollector
from latticewatch.daemon.ledger import Counts
from latticewatch.wire.errors import UNREADABLE_REASONS, UnreadableReason
from latticewatch.wire.events import Kind, Quality

__all__ = ["STAGES", "LateFate", "Metrics", "Stage", "count_kernel_variants", "resident_bytes"]

Stage = Literal[
    "receive",
    "queue",
    "validate",
    "lattice",
    "segment",
    "features",
    "score",
    "locate",
    "reference_cell",
    "domains",
    "vae",
    "symmetry",
    "motifs",
    "fuse",
    "publish",
    "total",
    "late",
    "end_to_end",
]
LateFate = Literal["answered", "dropped", "too_late", "failed"]
MotifAnswer = Literal["named", "new", "unscored"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
KINDS: Final[tuple[str, ...]] = get_args(Kind)
QUALITIES: Final[tuple[str, ...]] = get_args(Quality)

# From half a millisecond to a second: kernels take 1 to 10 ms, a useful event is younger than 40.
LATENCY_BUCKETS_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5,
    1.0,
)  # fmt: skip
_PAGE_BYTES: Final = 4096


class Metrics:
    """The registry of one daemon, and what its threads write into it.

    Parameters
    ----------
    counts
        Gives the balance of frames at the instant of asking.
    """

    def __init__(self, *, counts: Callable[[], Counts]) -> None:
        # A time of creation beside each counter doubles the page and tells nobody anything.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs has no types
        self.registry = CollectorRegistry()
        self.registry.register(FrameCollector(counts))
        # Children are bound once: 3 us an observation, 6 with a look-up by label.
        self._latency = self._make_latency()
        self._unreadable = self._make_counters(
            "messages_unreadable",
            "Messages refused before their number was known",
            label="reason",
            values=UNREADABLE_REASONS,
        )
        self._defects = self._make_counters(
            "defects", "Published defects", label="kind", values=KINDS
        )
        self._not_scored = self._make_counters(
            "frames_not_scored",
            "Frames of which nothing is known, by each quality word of their event",
            label="quality",
            values=(*QUALITIES, "other"),
        )
        self._published = self._make_counter("events_published", "Defect events handed out")
        self._overflow = self._make_counter(
            "events_overflow", "Defect events lost because the outbox was full"
        )
        self._previews = self._make_counter("previews_sent", "Previews handed to the socket")
        self._unsent = self._make_counter(
            "messages_unsent", "Messages that could not be written: anything but 0 is a bug"
        )
        self._late = self._make_counters(
            "late_frames",
            "Frames left to late detectors, by what became of them",
            label="fate",
            values=get_args(LateFate),
        )
        self._late_overdue = self._make_counter(
            "late_overdue", "Late answers that took longer than detectors.late_within_ms"
        )
        self._unscorable = self._make_counters(
            "unscorable",
            "Scores that were not finite, and were not published",
            label="detector",
            values=(*DETECTORS, "other"),
        )

        self._motifs = self._make_counters(
            "motifs",
            "Defects by what the motif classes said of them",
            label="answer",
            values=get_args(MotifAnswer),
        )
        self._motifs_proposed = self._make_counter(
            "motifs_proposed", "Motif classes that were proposed while the stream ran"
        )
        self._motif_changes = self._make_counter(
            "motif_changes", "Sites whose motif class changed, as events told"
        )

    def observe(self, stage: Stage, seconds: float) -> None:
        """Add one duration; a negative one, of clocks that disagree, counts as 0."""
        self._latency[stage].observe(max(seconds, 0.0))

    def count_unreadable(self, reason: UnreadableReason) -> None:
        """Count a message that was refused before its number was known."""
        self._unreadable[reason].inc()

    def count_defect(self, kind: str) -> None:
        """Count a published defect; a kind of no known word counts as unknown."""
        self._defects.get(kind, self._defects["unknown"]).inc()

    def count_not_scored(self, quality: Iterable[str]) -> None:
        """Count a frame of which nothing is known, under each of its quality words."""
        for word in quality:
            self._not_scored.get(word, self._not_scored["other"]).inc()

    def count_published(self) -> None:
        """Count an event that was handed to the socket."""
        self._published.inc()

    def count_overflow(self) -> None:
        """Count an event that found the outbox full."""
        self._overflow.inc()

    def count_preview(self) -> None:
        """Count a preview that was handed to the socket."""
        self._previews.inc()

    def count_unsent(self) -> None:
        """Count a message that could not be written."""
        self._unsent.inc()

    def count_late(self, fate: LateFate) -> None:
        """Count what became of a frame that was left to late detectors."""
        self._late[fate].inc()

    def count_late_overdue(self) -> None:
        """Count a late answer that took longer than it should."""
        self._late_overdue.inc()

    def count_unscorable(self, detector: str, n_scores: int) -> None:
        """Count scores of a detector that were not finite."""
        self._unscorable.get(detector, self._unscorable["other"]).inc(n_scores)

    def count_motifs(self, answers: Mapping[str, int], *, n_changes: int) -> None:
        """Count the defects of a frame by what the motif classes said, and sites that changed."""
        for answer, n_defects in answers.items():
            self._motifs[answer].inc(n_defects)
        self._motif_changes.inc(n_changes)

    def count_motif_proposed(self) -> None:
        """Count a motif class that was proposed."""
        self._motifs_proposed.inc()

    def watch(self, gauges: Mapping[str, Callable[[], float]]) -> None:
        """Export values that are computed when somebody asks.

        Parameters
        ----------
        gauges
            By a name of `GAUGES`.
        """
        for name, compute in gauges.items():
            gauge = Gauge(name, GAUGES[name], namespace="latticewatch", registry=self.registry)
            gauge.set_function(compute)

    def describe_models(self, models: Iterable[Mapping[str, object]], *, model_set: str) -> None:
        """Export the models in force, as labels of a value that is always 1.

        Parameters
        ----------
        models
            `name` of the detector, `artifact` and `sha256` of each, as `ModelSet.describe` says.
        model_set
            Their common digest.
        """
        info = Gauge(
            "model_info",
            "Models in force, always 1",
            ("model_set", "detector", "artifact", "sha256"),
            namespace="latticewatch",
            registry=self.registry,
        )
        for model in models:
            info.labels(
                model_set=model_set,
                detector=str(model["name"]),
                artifact=str(model["artifact"]),
                sha256=str(model["sha256"]),
            ).set(1)

    def _make_latency(self) -> dict[Stage, Histogram]:
        latency = Histogram(
            "latency_seconds",
            "Duration of a stage; receive and end_to_end compare the source's clock with ours",
            ("stage",),
            namespace="latticewatch",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        return {stage: latency.labels(stage) for stage in STAGES}

    def _make_counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, namespace="latticewatch", registry=self.registry)

    def _make_counters(
        self, name: str, text: str, *, label: str, values: Iterable[str]
    ) -> dict[str, Counter]:
        counter = Counter(name, text, (label,), namespace="latticewatch", registry=self.registry)
        return {value: counter.labels(value) for value in values}


GAUGES: Final = {
    "ready": "1 while frames are answered",
    "source_connections": "Open connections of frame sources",
    "subscribers": "Subscriptions to events",
    "clock_synchronised": "1 if age and end_to_end may be trusted across computers, as set",
    "kernel_signatures": "Compiled variants of the kernels; must not grow after the start",
    "resident_bytes": "Memory that the process occupies",
    "motif_reservoir_sites": "Sites with defects that no motif class fits, waiting to agree",
}
"""Values that are computed when somebody asks, with their meaning."""


def resident_bytes() -> float:
    """Memory that this process occupies, bytes; 0 where /proc does not exist."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return float(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0.0


def count_kernel_variants() -> float:
    """Compiled variants of all kernels that are loaded, one for each set of argument types."""
    kernels = {
        id(value): value
        for name, module in list(sys.modules.items())
        if name.startswith("latticewatch.kernels.")
        for value in vars(module).values()
    }
    return float(sum(len(getattr(kernel, "signatures", ())) for kernel in kernels.values()))
