"""What a reader of the page of motifs should know before believing a frame, in words."""

from collections.abc import Sequence

import numpy as np

from latticewatch.daemon.offline_report import counted
from latticewatch.daemon.outcome import MotifView
from latticewatch.wire.events import DefectEvent, DetectorState

DETECTOR = "motifs"
# Chosen: of a frame of the model's own kind, hardly any site is new; of one with as many as this,
# something general is the matter.
_MANY_NEW = 0.3


def state_of(event: DefectEvent) -> DetectorState | None:
    """How the model of motifs did; None where it did not look."""
    return next((one for one in event.detectors if one.name == DETECTOR), None)


def notes_of(
    event: DefectEvent, sites: MotifView | None, said: Sequence[str] = ()
) -> tuple[str, ...]:
    """List what was said of a frame, and what its sites and the state of the model tell.

    Parameters
    ----------
    event
        Of the frame.
    sites
        None where no classes could be given.
    said
        By the pipeline.
    """
    told = _without_classes(event) if sites is None else _of_classes(sites)
    return tuple(one for one in (*said, told) if one)


def _without_classes(event: DefectEvent) -> str:
    state = state_of(event)
    if event.outcome == "not_scored":
        return "No class is given to any site: the frame was not scored, as said above."
    if state is None:
        return (
            "No class is given to any site: motifs did not look, for it has no model. What was "
            "said when one was to be fitted stands at the top of the page."
        )
    if state.state == "error":
        return "No class is given to any site: the model failed on this frame."
    return (
        "No class is given to any site: the model does not fit this frame. Fit one on frames like "
        "it: latticewatch fit --detectors motifs."
    )


def _of_classes(sites: MotifView) -> str:
    n_scored = int(np.count_nonzero(sites.class_id >= 0))
    n_new = int(np.count_nonzero(sites.class_id == 0))
    if not n_scored:
        return (
            "No site has a class: nowhere does a whole patch lie in the frame. Give a larger field "
            "of view."
        )
    if n_new > _MANY_NEW * n_scored:
        return (
            f"{n_new} of {counted(n_scored, 'site')} are new, far from all classes: the model may "
            "be of another crystal, magnification, focus or dose."
        )
    return ""
