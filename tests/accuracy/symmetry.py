"""Measures symmetry maps: on the real images, and how many filters they need, on drawn boundaries.

    python tests/accuracy/symmetry.py

Prints both tables and puts them into README.md. Each map is made by a model that was fitted to the
same frame, without labels and without parameters. The rows of real images come from files that lie
beside the checkout, and are left out where they do not. Takes three minutes.
"""

import os

# Before numpy reads it: times are those of one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from latticewatch.detectors.symmetry.fit import fit  # noqa: E402 - the support of the tests first
from latticewatch.detectors.symmetry.parameters import SymmetryParameters  # noqa: E402
from latticewatch.detectors.symmetry.score import SymmetryDetector, SymmetryMap  # noqa: E402
from support.boundaries import KINDS, boundary  # noqa: E402
from support.likest_lock import likest_lock  # noqa: E402
from support.shared_data import DATA, shared_image  # noqa: E402

PAGE = Path(__file__).with_name("README.md")
REAL = DATA / "real"
TRUTH = DATA / "simulated" / "cdte_twin_A_truth.json"
IMAGES = {
    "ZrO2, second domain": ("zro2_monoclinic.tif", "zro2_domain.png"),
    "CdTe, faults and twin": ("cdte_faults.tif", "cdte_faults.png"),
}
WAYS = {
    "as fitted": SymmetryParameters(),
    "not binned, statistics of the model patch alone": SymmetryParameters(
        scale_to_lattice=False, pooled=False
    ),
}
# (crystal, period in px, seed): seeds and periods other than those that lengths were chosen on.
DRAWN = (("dumbbell", 14.0, 71), ("oblique", 22.0, 72), ("hexagonal", 9.5, 73))
COUNTS = (3.0, 12.0, 50.0, 200.0)
NUMBERS = (6, 8, 10, 12, 14)
BORDER_CELLS = 3
REAL_HEAD = (
    "| symmetry map of a real image | AUC | d' | cells flagged at p < 0.001, sound |\n"
    "|---|---|---|---|\n"
)
STUDY_HEAD = (
    "| boundary, drawn | counts | " + " | ".join(f"K = {k}" for k in NUMBERS) + " |\n"
    "|---|---|" + "---|" * len(NUMBERS) + "\n"
)
Mask = NDArray[np.bool_]


def map_of(frame: NDArray[np.float32], parameters: SymmetryParameters) -> SymmetryMap:
    """Fit a model to a frame, and map the same frame by it."""
    model, _ = fit([frame], parameters)
    return SymmetryDetector(model).score(frame, likest_lock(model.basis_px_yx, frame))


def auc(found: SymmetryMap, broken: Mask, sound: Mask) -> float:
    """Chance that a broken cell lies further out than a sound one; masked ones are out furthest."""
    inner = np.zeros(broken.shape, bool)
    inner[BORDER_CELLS:-BORDER_CELLS, BORDER_CELLS:-BORDER_CELLS] = True
    distance = np.where(np.isnan(found.distance), np.inf, found.distance)
    one, other = distance[broken & inner], distance[sound & inner]
    rank = stats.rankdata(np.concatenate([one, other]))[: len(one)].sum()
    return float((rank - len(one) * (len(one) + 1) / 2) / (len(one) * len(other)))


def real_rows() -> str:
    """Both real images against masks drawn by hand."""
    import tifffile
    from PIL import Image

    lines = []
    for (name, (file, mask_file)), (way, parameters) in itertools.product(
        IMAGES.items(), WAYS.items()
    ):
        pixels = tifffile.imread(REAL / file)
        frame = np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 3 else pixels, np.float32)
        found = map_of(frame, parameters)
        mask = np.asarray(Image.open(REAL / "masks" / mask_file))
        rows, columns = (
            np.rint(first + found.step_px * np.arange(n)).astype(int)
            for first, n in zip(found.first_px_yx, found.distance.shape, strict=True)
        )
        truth = mask[np.ix_(rows, columns)]
        broken, sound = truth == 255, truth == 0
        distance = found.distance
        middle = np.nanmedian(distance[sound])
        spread = 1.4826 * np.nanmedian(np.abs(distance[sound] - middle))
        apart = (np.nanmedian(distance[broken]) - middle) / spread
        false = np.nanmean(found.p_value[sound] < 0.001)
        cells = (
            f"{name}, {way}",
            f"{auc(found, broken, sound):.4f}",
            f"{apart:.1f}",
            f"{false:.3f}",
        )
        lines.append(_row(cells))
    return "".join(lines)


def study_rows() -> str:
    """Every kind of boundary and dose, over three crystals."""
    lines, means = [], []
    for kind, counts in itertools.product(KINDS, COUNTS):
        seen: list[list[float]] = [[] for _ in NUMBERS]
        for crystal, period_px, seed in DRAWN:
            drawn = boundary(
                crystal=crystal, kind=kind, seed=seed, period_px=period_px, counts=counts
            )
            for values, n_filters in zip(seen, NUMBERS, strict=True):
                found = map_of(drawn.frame, SymmetryParameters(n_filters=n_filters))
                truth = drawn.truth_at(found.step_px, found.first_px_yx, found.distance.shape)
                values.append(auc(found, *truth))
        means.append([float(np.mean(values)) for values in seen])
        lines.append(_row((kind, f"{counts:g}", *(f"{value:.3f}" for value in means[-1]))))
    overall = np.mean(means, axis=0)
    lines.append(_row(("mean", "", *(f"{value:.3f}" for value in overall))))
    if TRUTH.is_file():
        lines += multislice_rows()
    return "".join(lines)


def multislice_rows() -> list[str]:
    """Twin, fault and amorphous patch in one image of CdTe by multislice, at three doses."""
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    area_nm2 = truth["extra"]["projected_period_u_nm"] * truth["extra"]["layer_spacing_nm"]
    period_px = float(np.sqrt(area_nm2)) / truth["pixel_size_nm"]
    lines, values = [], []
    for image in truth["images"]:
        if image["kind"] != "noisy":
            continue
        frame = shared_image(f"simulated/{image['file']}")
        maps = [map_of(frame, SymmetryParameters(n_filters=k)) for k in NUMBERS]
        radius_px = truth["defects"][0]["radius_px"]
        cells = [_multislice_cells(found, image, radius_px, period_px) for found in maps]
        values.append([auc(found, *pair) for found, pair in zip(maps, cells, strict=True)])
        counts = f"{image['mean_detected_counts_per_pixel']:.2g}"
        kind = "CdTe by multislice: twin, fault"
        lines.append(_row((kind, counts, *(f"{value:.3f}" for value in values[-1]))))
    mean = np.mean(values, axis=0)
    lines.append(_row(("mean of multislice", "", *(f"{value:.3f}" for value in mean))))
    return lines


def _multislice_cells(
    found: SymmetryMap, image: dict[str, Any], radius_px: float, period_px: float
) -> tuple[Mask, Mask]:
    """Cells on the lines and in the twin, and sound ones as of drawn frames; the patch is none."""
    y, x = np.meshgrid(
        *(
            first + found.step_px * np.arange(n)
            for first, n in zip(found.first_px_yx, found.distance.shape, strict=True)
        ),
        indexing="ij",
    )
    # Signed distances, positive below a line.
    twin, fault = (_below(np.array(image["defects_line"][key]), y, x) for key in ("1", "2"))
    patch = np.hypot(y - image["defects_y"][0], x - image["defects_x"][0]) - radius_px
    width, far = max(0.5 * period_px, 0.6 * found.step_px), 2 * period_px + 24.0
    broken = (twin < width) | (np.abs(fault) < width)
    sound = (twin > far) & (np.abs(fault) > far) & (patch > far)
    return broken, sound


def _below(
    line: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    start, along = line[0], line[1] - line[0]
    across = (y - start[0]) * along[1] - (x - start[1]) * along[0]
    return np.asarray(across / np.hypot(*along))


def _row(cells: tuple[str, ...]) -> str:
    made = f"| {' | '.join(cells)} |\n"
    sys.stdout.write(made)
    sys.stdout.flush()
    return made


def _put(page: str, head: str, table: str) -> str:
    """Replace the table with this head, or add it at the end."""
    before, _, old = page.partition(head.partition("\n")[0])
    later = old.partition("\n\n")[2]
    return before + head + table + (f"\n{later}" if later else "")


def main() -> None:
    """Measure, print, and put both tables into their section of the page."""
    page = PAGE.read_text(encoding="utf-8")
    if REAL.is_dir():
        page = _put(page, REAL_HEAD, real_rows())
    PAGE.write_text(_put(page, STUDY_HEAD, study_rows()), encoding="utf-8")


if __name__ == "__main__":
    main()
