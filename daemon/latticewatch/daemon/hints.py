"""What to do about a frame without an answer; knows the words and not how they are found."""

from collections.abc import Iterable
from typing import Final

__all__ = ["HINTS", "OTHER", "troubles"]

OTHER: Final = "other"  # no word that explains it, or one that this version does not know

# The words that can be why. Others, such as a clock that is off, may stand beside them.
HINTS: Final[dict[str, str]] = {
    "nonfinite": "too many pixels are NaN or infinite: look at the detector and its converter",
    "saturated": "too many pixels are at full scale: lower the gain",
    "constant": "all pixels are alike: is the beam on, and the detector in?",
    "low_dose": "too few electrons: raise the dose, or look at fewer, longer frames",
    "not_periodic": "no lattice in view: check focus, magnification and where the specimen is",
    "model_stale": "the frame does not fit the model: fit one, latticewatch fit",
    "model_missing": "there is no model: fit one, latticewatch fit, and name it in the settings",
    "line_glitch": "rows are broken: look at the scan and its cables",
    "truncated_rows": "rows are missing: look at the sender",
    OTHER: "the event's quality says why",
}


def troubles(quality: Iterable[str]) -> list[str]:
    """Return the words with a hint among those of a frame without an answer, at least one.

    >>> troubles(["clock_skew", "constant"]), troubles([])
    (['constant'], ['other'])
    """
    return [word for word in quality if word in HINTS] or [OTHER]
