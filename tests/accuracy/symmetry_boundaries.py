"""Measures boundaries and patches of symmetry maps, and writes the tables of README.md.

    python tests/accuracy/symmetry_boundaries.py

Recall is the share of the true line, in steps of a pixel, with a reported one within a lattice
period (root of the cell's area); precision is the same the other way round. The simulated and
real images lie beside the checkout and are not part of the project.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import spatial

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from latticewatch.detectors.reference_rule import FitError  # noqa: E402 - support first
from latticewatch.detectors.symmetry.fit import fit  # noqa: E402
from latticewatch.detectors.symmetry.outlines import length_of, resampled  # noqa: E402
from latticewatch.detectors.symmetry.parameters import SymmetryParameters  # noqa: E402
from latticewatch.detectors.symmetry.score import SymmetryDetector  # noqa: E402
from latticewatch.detectors.symmetry.segments import Segment, find_segments  # noqa: E402
from support.faulted import CRYSTALS, Faulted, faulted  # noqa: E402
from support.likest_lock import likest_lock  # noqa: E402
from support.page import put  # noqa: E402
from support.shared_data import DATA, shared_image  # noqa: E402

SEEDS = (101, 102, 103)
DEFECTS = ("fault", "twin", "grain", "inclusion", "patch", "vacuum", "points", "none")
COUNTS = (3.0, 10.0, 40.0, 200.0)
DRAWN_HEAD = (
    "| drawn, reference | frames | recall | precision | frames with recall >= 0.95 "
    "| false length, diagonals | IoU of patch |\n|---|---|---|---|---|---|---|\n"
)
IMAGE_HEAD = (
    "| image, its reference | recall of lines | precision | false length, diagonals "
    "| IoU of patch |\n|---|---|---|---|---|\n"
)
Image = NDArray[np.float32]
Places = NDArray[np.float64]


def segments_of(frame: Image, reference: Image) -> list[Segment]:
    """Segments of a frame, by a model of another frame or of itself; none without a model."""
    try:
        model, _ = fit([reference], SymmetryParameters())
    except FitError as error:
        sys.stdout.write(f"no model: {error}\n")
        return []
    found = SymmetryDetector(model).score(frame, likest_lock(model.basis_px_yx, frame))
    if found.stale:
        sys.stdout.write(f"stale: {found.told}\n")
    return find_segments(found, model, (frame.shape[0], frame.shape[1]))


def dense(line: Places, closed: bool = False) -> Places:
    """Points of a line a pixel apart."""
    return resampled(line, closed, 1.0) if length_of(line, closed) > 0 else line


def near(points: Places, others: Places, within_px: float) -> NDArray[np.bool_]:
    """Tell which points have another one within reach."""
    if not len(points) or not len(others):
        return np.zeros(len(points), bool)
    return np.asarray(spatial.cKDTree(others).query(points)[0] <= within_px)


def lines_of(segments: Sequence[Segment]) -> Places:
    """Points of all boundaries, a pixel apart."""
    lines = [dense(one.outline_px_yx, one.closed) for one in segments if one.kind == "boundary"]
    return np.concatenate(lines) if lines else np.empty((0, 2))


def filled(segments: Sequence[Segment], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels inside the outlines of all patches (even-odd rule)."""
    y, x = np.indices(shape)
    inside = np.zeros(shape, bool)
    for segment in segments:
        if segment.kind != "amorphous":
            continue
        outline = segment.outline_px_yx
        own = np.zeros(shape, bool)
        for (y0, x0), (y1, x1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            if y0 != y1:
                own ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        inside |= own
    return inside


def figures(
    segments: Sequence[Segment], lines: Sequence[Places], patch: NDArray[np.bool_], period_px: float
) -> tuple[float, float, float, float]:
    """Recall, precision, false length in diagonals, IoU; NaN where it does not exist."""
    got = lines_of(segments)
    true = np.concatenate([np.empty((0, 2)), *lines])
    recall = float(near(true, got, period_px).mean()) if len(true) else np.nan
    right = near(got, true, period_px)
    precision = float(right.mean()) if len(got) else np.nan
    union = np.nan
    if patch.any():
        found = filled(segments, patch.shape)
        union = float((found & patch).sum() / (found | patch).sum())
    return recall, precision, float((~right).sum() / np.hypot(*patch.shape)), union


def scenes() -> Iterator[dict[str, Any]]:
    """Held-out scenes: angles, periods of 8 to 30 px, doses, wedges and contrast by chance."""
    for seed in SEEDS:
        rng = np.random.default_rng([seed, 5])
        for crystal in CRYSTALS:
            for defect in DEFECTS:
                period_px = float(rng.uniform(8, 30))
                yield {
                    "crystal": crystal,
                    "defect": defect,
                    "seed": seed,
                    "period_px": period_px,
                    "counts": float(rng.choice(COUNTS)),
                    "turn_deg": float(rng.uniform(5, 30)),
                    "radius_px": max(float(rng.uniform(50, 110)), 3.5 * period_px),
                    "wedge": float(rng.uniform(0, 0.3)),
                    "jitter_px": float(rng.uniform(0.1, 0.4)),
                    "is_dark": bool(rng.uniform() < 0.2),
                }


def drawn_rows() -> str:
    """One row for each defect and reference."""
    seen: dict[tuple[str, str], list[tuple[float, float, float, float]]] = {}
    for scene in scenes():
        shown = faulted(**scene)
        other = scene | {
            "defect": "none",
            "seed": scene["seed"] + 1000,
            "angle_seed": scene["seed"],
        }
        for name, reference in (("clean frame", faulted(**other).frame), ("itself", shown.frame)):
            measured = _measured(shown, reference)
            seen.setdefault((scene["defect"], name), []).append(measured)
    return "".join(
        row(f"{defect}, {name} | {len(values)}", values, with_share=True)
        for (defect, name), values in seen.items()
    )


def _measured(shown: Faulted, reference: Image) -> tuple[float, float, float, float]:
    return figures(segments_of(shown.frame, reference), shown.lines, shown.patch, shown.period_px)


def image_rows() -> str:
    """Twin, fault and patch at three doses; crystals with point defects or none."""
    made = []
    folder = DATA / "simulated"
    truth = json.loads((folder / "cdte_twin_A_truth.json").read_text(encoding="utf-8"))
    defects = truth["defects"]
    for image in truth["images"]:
        if image["kind"] != "noisy":
            continue
        frame = shared_image(f"simulated/{image['file']}")
        y, x = np.indices(frame.shape)
        patch = np.hypot(y - image["defects_y"][0], x - image["defects_x"][0])
        within = patch < defects[0]["radius_px"]
        lines = [dense(np.array(line)) for line in image["defects_line"].values()]
        # Root of the area of the projected cell: period along the layers times their distance.
        extra = truth["extra"]
        area_nm2 = extra["projected_period_u_nm"] * extra["layer_spacing_nm"]
        period_px = float(np.sqrt(area_nm2)) / truth["pixel_size_nm"]
        measured = figures(segments_of(frame, frame), lines, within, period_px)
        made.append(row(f"{image['file']}, itself", [measured]))
    for sample in ("perfect_cdte_A", "perfect_sto_A", "perfect_ws2_A"):
        paths = sorted(folder.glob(f"{sample}_d*.tif"))
        frames = [shared_image(f"simulated/{path.name}") for path in paths]
        for name, references in (("first seed", frames[:1] * len(frames)), ("itself", frames)):
            values = [
                figures(segments_of(*pair), [], np.zeros(pair[0].shape, bool), 1.0)
                for pair in zip(frames, references, strict=True)
            ]
            made.append(row(f"{sample}, {len(frames)} seeds, {name}", values))
    for sample in ("ws2_mono_A", "sto_A", "graphene_A", "mote2_bilayer_A"):
        for path in sorted(folder.glob(f"{sample}_d*.tif")):
            frame = shared_image(f"simulated/{path.name}")
            none = np.zeros(frame.shape, bool)
            made.append(
                row(f"{path.name}, itself", [figures(segments_of(frame, frame), [], none, 1.0)])
            )
    return "".join(made)


def row(
    name: str, values: Sequence[tuple[float, float, float, float]], with_share: bool = False
) -> str:
    """One row of a table: means, and the largest false length."""
    recall, precision, false, union = np.array(values).T
    cells = [name, _mean(recall), _mean(precision)]
    if with_share:
        cells.append("-" if np.isnan(recall).all() else f"{np.mean(recall >= 0.95):.2f}")
    cells.append(
        f"{false.mean():.3f}, at most {false.max():.3f}" if len(false) > 1 else f"{false[0]:.3f}"
    )
    cells.append(_mean(union))
    made = f"| {' | '.join(cells)} |\n"
    sys.stdout.write(made)
    sys.stdout.flush()
    return made


def _mean(values: NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    return f"{known.mean():.2f}" if len(known) else "-"


def main() -> None:
    """Measure, print, and put the tables into the page."""
    if (DATA / "simulated" / "cdte_twin_A_truth.json").is_file():
        put(IMAGE_HEAD, image_rows())
    put(DRAWN_HEAD, drawn_rows())


if __name__ == "__main__":
    main()
