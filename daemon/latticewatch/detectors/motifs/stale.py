"""Whether a model of motifs has a word on the crystal of a frame."""

from dataclasses import dataclass

from latticewatch.detectors.motifs.model import MotifModel

# A patch is cut in pixels: at 6 % another magnification, half a pixel of a disc of eight.
_MOST_SCALE = 1.06
_LEAST_AGREEMENT = 0.75


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why the model has no word on a frame.

    Attributes
    ----------
    code
        What it is about: the same word from frame to frame, whatever the numbers.
    told
        In one line with numbers.
    """

    code: str
    told: str

    def __str__(self) -> str:
        return self.told


def other_scale(model: MotifModel, period_px: float) -> Mismatch | None:
    """Refuse a lattice of another period: another pixel size, or another crystal."""
    ratio = period_px / model.period_px
    if 1 / _MOST_SCALE <= ratio <= _MOST_SCALE:
        return None
    return Mismatch(
        "scale",
        f"the lattice has a period of {period_px:.1f} px, that of the model {model.period_px:.1f}: "
        "another pixel size or crystal, fit a model for it",
    )


def other_crystal(agreement: float) -> Mismatch | None:
    """Refuse a frame of which the ordinary sites are not those of the model."""
    if agreement >= _LEAST_AGREEMENT:
        return None
    return Mismatch(
        "crystal",
        f"ordinary sites agree with those of the model by {agreement:.2f}, at least "
        f"{_LEAST_AGREEMENT} expected: another crystal or focus, fit a model for it",
    )
