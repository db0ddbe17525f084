"""What an event tells Prometheus and the operator."""

from typing import Final

from latticewatch.daemon.books import Books
from latticewatch.daemon.hints import HINTS, troubles
from latticewatch.daemon.metrics import Stage
from latticewatch.daemon.outcome import Outcome

_PIPELINE_STAGES: Final[tuple[Stage, ...]] = (
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
    "total",
    "late",
)


def measure_first(books: Books, outcome: Outcome, *, label: str) -> None:
    """Count what a first event says, and say what is wrong with its frame or who did not answer.

    Parameters
    ----------
    label
        Of the frame, for people.
    """
    _count(books, outcome)
    if outcome.event.outcome == "not_scored":
        books.metrics.count_not_scored(outcome.event.quality)
        for word in troubles(outcome.event.quality):
            why = f"; {outcome.note}" if outcome.note else ""
            text = f"{label}: {HINTS[word]}{why}"
            books.log.refused("frame_not_scored", reason=word, text=text)
    if outcome.warning:
        text = f"{label}: {outcome.warning}"
        books.log.refused("material_does_not_fit", reason="pixel_size", text=text)
    n_told = len(outcome.event.motif_changes or ())  # UNSET is false
    if outcome.n_changes > n_told:
        text = f"{label}: {outcome.n_changes} sites changed their motif class, {n_told} are told"
        books.log.refused("motif_changes_cut", reason="max_defects", text=text)
    _tell_of_detectors(books, outcome, label)


def measure_late(books: Books, outcome: Outcome) -> None:
    """Count what a late event says; of its frame all was said with the first one."""
    _count(books, outcome)
    frame = outcome.event.frame
    _tell_of_detectors(books, outcome, f"frame {frame.seq} of {outcome.event.source}")


def _count(books: Books, outcome: Outcome) -> None:
    for stage in _PIPELINE_STAGES:
        if stage in outcome.stage_us:
            books.metrics.observe(stage, outcome.stage_us[stage] / 1e6)
    for defect in outcome.event.defects:
        books.metrics.count_defect(defect.kind)
    for detector, n_refused in outcome.n_refused.items():
        books.metrics.count_unscorable(detector, n_refused)
    changes = outcome.event.motif_changes
    if outcome.n_motifs or changes:  # UNSET is false
        books.metrics.count_motifs(outcome.n_motifs, n_changes=len(changes or ()))


def _tell_of_detectors(books: Books, outcome: Outcome, label: str) -> None:
    troubled = [state for state in outcome.event.detectors if state.state != "ok"]
    for state in troubled:
        text = f"{label}: {outcome.note or state.state}"
        books.log.refused("detector_has_no_answer", reason=state.name, text=text)
    if outcome.note and not troubled and outcome.event.outcome == "scored":
        # A detector that leaves out one odd frame, and is not stale for that.
        text = f"{label}: {outcome.note}"
        books.log.refused("detector_has_no_answer", reason="odd_frame", text=text)
