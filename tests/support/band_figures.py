"""What a scorer finds on bands of one frame that share no pixel.

A scorer is made from the fit band. It gets raw pixels, and says NaN of what it cannot score.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.null import USUAL_LAW, p_values
from support.bands import DEFECTS, Band, Image, Places, SeamlessDefect, Split, with_defect

Scores = NDArray[np.float64]
# Raw pixels of a band and places (N, 2) to scores (N,), higher is stranger. Places are columns
# for `measure_sites`, top left corners of windows of `Band.window_px` for `measure_windows`.
Score = Callable[[Image, Places], Scores]
Maker = Callable[[Band], Score]

N_BULK, N_CALIBRATION, N_DEFECTS = 1000, 400, 120
# Place of a defect in its window of 64 px: anywhere, or in the central 32 px.
ANYWHERE, CENTRAL = (12, 52), (18, 46)
_SEED = 20240517


@dataclass(frozen=True, slots=True)
class Figures:
    """What one scorer reaches on one split; shares are 0..1.

    Attributes
    ----------
    auc
        By class of defects: chance that a defect is stranger than a normal site.
    d1, d5
        By class: share beyond the 99 % and the 95 % quantile of the normal test sites, which
        nobody knows who looks at a frame.
    false1, false5
        Normal test sites beyond these quantiles of the calibration band.
    false1_scaled, false5_scaled
        The same, each band's scores less their median, over their MAD.
    found1, found5
        Mean share of the defects beyond the scaled thresholds of the calibration band.
    false1_law, false5_law, found1_law, found5_law
        By p-values below 1 and 5 % of `null.USUAL_LAW` on the scale of the test band itself.
    n_normal, n_calibration
        How many sites or windows make the thresholds.
    """

    auc: dict[str, float]
    d1: dict[str, float]
    d5: dict[str, float]
    false1: float
    false5: float
    false1_scaled: float
    false5_scaled: float
    found1: float
    found5: float
    false1_law: float
    false5_law: float
    found1_law: float
    found5_law: float
    n_normal: int
    n_calibration: int

    @property
    def mean_auc(self) -> float:
        """Over the classes."""
        return float(np.mean(list(self.auc.values())))

    @property
    def mean_d1(self) -> float:
        """Over the classes."""
        return float(np.mean(list(self.d1.values())))

    @property
    def mean_d5(self) -> float:
        """Over the classes."""
        return float(np.mean(list(self.d5.values())))


def measure_sites(split: Split, make: Maker) -> Figures:
    """Judge a scorer that gives each column a score; every scored column is damaged in turn.

    Defects are compared with the normal columns of their own kind; thresholds of the calibration
    band are those of both kinds together.
    """
    score = make(split.fit)
    test = split.test
    normal = {name: score(test.image, getattr(test, f"{name}_yx")) for name in ("sr", "ti")}
    calibration = [
        score(split.calibration.image, getattr(split.calibration, f"{name}_yx"))
        for name in ("sr", "ti")
    ]
    rng = np.random.default_rng(_SEED)
    found = {}
    for defect in DEFECTS:
        places = getattr(test, f"{defect.column}_yx")[np.isfinite(normal[defect.column])]
        found[defect.name] = np.array([_score_one(score, test, one, defect, rng) for one in places])
    known = {name: values[np.isfinite(values)] for name, values in normal.items()}
    by_class = {defect.name: known[defect.column] for defect in DEFECTS}
    return _figures(
        found, by_class, np.concatenate(list(known.values())), np.concatenate(calibration)
    )


def _score_one(
    score: Score,
    band: Band,
    place: NDArray[np.float64],
    defect: SeamlessDefect,
    rng: np.random.Generator,
) -> float:
    image = with_defect(band, place, defect, rng.uniform(0, 2 * np.pi))
    return float(score(image, place[None])[0])


def measure_windows(split: Split, make: Maker, within: tuple[int, int] = CENTRAL) -> Figures:
    """Judge a scorer that gives each window a score; windows and columns are drawn at random.

    Parameters
    ----------
    within
        Where a defect may be in its window, pixels from the corner, both ways: `CENTRAL` or
        `ANYWHERE`.
    """
    score = make(split.fit)
    rng = np.random.default_rng(_SEED)
    normal = score(split.test.image, random_corners(split.test, N_BULK, rng))
    calibration = score(
        split.calibration.image, random_corners(split.calibration, N_CALIBRATION, rng)
    )
    found = {}
    for defect in DEFECTS:
        values = []
        for _ in range(N_DEFECTS):
            place, corner = _drawn(split.test, defect.column, within, rng)
            image = with_defect(split.test, place, defect, rng.uniform(0, 2 * np.pi))
            values.append(float(score(image, corner[None])[0]))
        found[defect.name] = np.array(values)
    return _figures(found, {defect.name: normal for defect in DEFECTS}, normal, calibration)


def random_corners(band: Band, n_corners: int, rng: np.random.Generator) -> Places:
    """Top left corners (N, 2), whole pixels, of windows inside a band."""
    room = np.array(band.image.shape) - band.window_px + 1
    return rng.integers(0, room, (n_corners, 2)).astype(np.float64)


def _drawn(
    band: Band, column: str, within: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw a column, and a corner of a window inside the band that holds it as wanted."""
    places = getattr(band, f"{column}_yx")
    while True:
        place = places[rng.integers(len(places))]
        corner = np.round(place - rng.uniform(within[0], within[1], 2))
        if (corner >= 0).all() and (corner + band.window_px <= band.image.shape).all():
            return place, corner


def _figures(
    found: dict[str, Scores], normal: dict[str, Scores], pooled: Scores, calibration: Scores
) -> Figures:
    calibration = calibration[np.isfinite(calibration)]
    scaled, reference = _scaled(pooled, pooled), _scaled(calibration, calibration)
    thresholds = [np.quantile(reference, level) for level in (0.99, 0.95)]
    plain = [np.quantile(calibration, level) for level in (0.99, 0.95)]
    defects = _scaled(np.concatenate(list(found.values())), pooled)
    false, found_law = _by_law(pooled, np.concatenate(list(found.values())))
    return Figures(
        auc={name: area_under_curve(normal[name], values) for name, values in found.items()},
        d1={k: float(np.mean(v > np.quantile(normal[k], 0.99))) for k, v in found.items()},
        d5={k: float(np.mean(v > np.quantile(normal[k], 0.95))) for k, v in found.items()},
        false1=float(np.mean(pooled > plain[0])),
        false5=float(np.mean(pooled > plain[1])),
        false1_scaled=float(np.mean(scaled > thresholds[0])),
        false5_scaled=float(np.mean(scaled > thresholds[1])),
        found1=float(np.mean(defects > thresholds[0])),
        found5=float(np.mean(defects > thresholds[1])),
        false1_law=false[0],
        false5_law=false[1],
        found1_law=found_law[0],
        found5_law=found_law[1],
        n_normal=len(pooled),
        n_calibration=len(calibration),
    )


def _by_law(normal: Scores, defects: Scores) -> list[list[float]]:
    """Shares with p-values below 1 % and 5 %, of normal sites, and of defects one at a time."""
    found = np.array([p_values(np.append(normal, one), USUAL_LAW)[0][-1] for one in defects])
    false, _ = p_values(normal, USUAL_LAW)
    return [[float(np.mean(p <= level)) for level in (0.01, 0.05)] for p in (false, found)]


def _scaled(values: Scores, by: Scores) -> Scores:
    centre = np.median(by)
    scaled: Scores = (values - centre) / (1.4826 * np.median(np.abs(by - centre)))
    return scaled


def area_under_curve(normal: Scores, strange: Scores) -> float:
    """Chance that a strange value exceeds a normal one, ties counted half; NaN is never strange."""
    strange = np.where(np.isnan(strange), -np.inf, strange)
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, strange, "left") + np.searchsorted(ordered, strange, "right")
    return float(below.mean() / (2 * len(ordered)))
