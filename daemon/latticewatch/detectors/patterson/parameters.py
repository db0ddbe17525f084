"""Numbers of the one-class SVM on Patterson maps, each with its source.

Marks: [P] Guo et al., npj Comput. Mater. 7, 180 (2021); [A] the authors' readable notebook;
[C] our choice where the paper is silent, measured on synthetic and multislice frames.
"""

from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, slots=True)
class PattersonParameters:
    """Settings of a fit. Lengths are fractions of the lattice period.

    Attributes
    ----------
    smooth_sigma
        Width of the Gaussian blur [A]: 3 px at a period of 22.6 px.
    extremum_min_distance
        Half width of the window of an extremum [C]: 0.55 lost 2.4 % of the holes, 0.25 0.7 %.
    patch_size
        Side of the window round a site [C]: six vertices plus the width of a column.
    cutoff
        Highest wave number kept per axis: 84 numbers that hold what the blur leaves [C].
    variance_kept
        Share of the variance that the principal components keep [P].
    nu
        Share of training outliers of the SVM: 0.02 after trimming [C], or None for the knee of
        D(nu) [P].
    trim
        Share of the strangest training sites left out of the second fit [C].
    most_fit_sites
        Sites that train the SVM at most; its cost grows faster than linear [C].
    features
        "patterson" [P], or "pixels" of a disc: better on raw frames of doped crystals.
    image
        Features are cut from the "frame", or from the "columns" redrawn with all of them alike:
        the atom-coordinate image, for doped crystals [P].
    polarity
        Columns are "bright" or "dark"; "auto" takes the sign of the skewness of the reference.
    site_source
        Sites of the reference are predicted by the "lattice" [C] or are its "extrema" [P].
    level_low, level_high
        Shares of the pixels of the blurred frame below level 0 and below level 1 [C]; 0 and 1 are
        the darkest and the brightest one [A].
    boundary
        Where decisions change sign: where the SVM puts it by its training set ("svm") [P], or so
        that a share nu of the held-out sites lies beyond ("held_out") [C].
    residual
        Whether the robust distance counts what the components leave of the features [C]; None: of
        redrawn columns it does. On raw frames it costs a defect in ten of those near the limit.
    seed
        Of the random subsets.
    """

    smooth_sigma: float = 0.13
    extremum_min_distance: float = 0.25
    patch_size: float = 1.45
    cutoff: int = 6
    variance_kept: float = 0.98
    nu: float | None = 0.02
    trim: float = 0.10
    most_fit_sites: int = 4000
    features: Literal["patterson", "pixels"] = "patterson"
    image: Literal["frame", "columns"] = "frame"
    polarity: Literal["auto", "bright", "dark"] = "auto"
    site_source: Literal["lattice", "extrema"] = "lattice"
    level_low: float = 0.02
    level_high: float = 0.98
    boundary: Literal["held_out", "svm"] = "held_out"
    residual: bool | None = None
    seed: int = 0

    @classmethod
    def as_published(cls) -> Self:
        """Take the paper's ways where it or its notebook states them, elsewhere our own."""
        return cls(
            nu=None,
            trim=0.0,
            site_source="extrema",
            level_low=0.0,
            level_high=1.0,
            boundary="svm",
            residual=False,
        )

    @property
    def counts_residual(self) -> bool:
        """Whether the robust distance counts what the components leave."""
        return self.image == "columns" if self.residual is None else self.residual

    def __post_init__(self) -> None:
        """Refuse what makes no sense, all of it at once, as ValueError."""
        ranges = {
            "smooth_sigma": 0 < self.smooth_sigma <= 1,
            "extremum_min_distance": 0 < self.extremum_min_distance <= 1,
            "patch_size": 0 < self.patch_size <= 10,
            "cutoff": 1 <= self.cutoff <= 32,
            "variance_kept": 0 < self.variance_kept < 1,
            "nu": self.nu is None or 0 < self.nu <= 1,
            "trim": 0 <= self.trim < 0.5,
            "most_fit_sites": 60 <= self.most_fit_sites <= 100_000,
            "features": self.features in ("patterson", "pixels"),
            "image": self.image in ("frame", "columns"),
            "polarity": self.polarity in ("auto", "bright", "dark"),
            "site_source": self.site_source in ("lattice", "extrema"),
            "level_low": 0 <= self.level_low < self.level_high,
            "level_high": self.level_high <= 1,
            "boundary": self.boundary in ("held_out", "svm"),
            "seed": self.seed >= 0,
        }
        wrong = [f"{name} = {getattr(self, name)}" for name, good in ranges.items() if not good]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")


# Grid and clamp of nu [C]: the knee depends on the grid, so the grid is fixed.
NU_GRID = (0.005, 0.1, 12)  # first, last, number; linear
NU_RANGE = (0.01, 0.1)

# When a frame is stale, measured by tests/accuracy/stale.py on three crystals; its table is in
# tests/accuracy/README.md. Half and twice the dose, gain, offset and line jitter of 0.7 px stay
# below all of these, and so does 1 degree or 1.5 per cent.
# 1. Outliers of the SVM: three times what nu promises or the reference itself showed, and at least
#    a tenth (patterson.md 7.4).
STALE_FACTOR = 3.0
STALE_LEAST = 0.1
# 2. Median score in 1.4826 MAD: 1.2 at half the dose, 2.6 at a quarter, 3 and more at 3 degrees.
STALE_SCORE = 1.5
# 3. Median residual over that of the reference: 1.4 at half the dose, 1.9 at a quarter; columns a
#    fifth narrower or a third wider give 2.5 to 5.
STALE_RESIDUAL = 2.0
# 4. Lattice against the model's, and frames running: see `detectors/staleness.py`.
