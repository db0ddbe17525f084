"""Measures the gate on labelled tiles and on simulated boundaries, for README.md.

    OPENBLAS_NUM_THREADS=1 python tests/accuracy/symmetry_gate.py [tiles|paper|crystals|speed...]

The tiles lie beside the checkout, in ../shared/data, and are not part of the project. Needs the
`train` extra. Takes about five minutes of two threads.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from latticewatch.detectors.symmetry.gate import Gate  # noqa: E402 - as above
from latticewatch.detectors.symmetry.gate_fit import GateFit, GateFitSettings, fit_gate  # noqa: E402
from latticewatch.detectors.symmetry.gate_labels import (  # noqa: E402
    LabelledTiles,
    tiles_of_mask,
    together,
)
from latticewatch.detectors.symmetry.gate_metrics import area_under_curve  # noqa: E402
from latticewatch.simulator.crystal import CRYSTALS  # noqa: E402
from support.bicrystals import bicrystal  # noqa: E402
from support.gate_tiles import drawn_lots, published_tiles  # noqa: E402
from support.page import put  # noqa: E402

TILE_HEAD = (
    "| gate of | labels per class | AUC upright | turned by 90 degrees | inverted | known | other "
    "material: known | its AUC |\n|---|---|---|---|---|---|---|---|\n"
)
PAPER_HEAD = (
    "| gate of | accuracy | precision | specificity | recall | seconds to fit |\n"
    "|---|---|---|---|---|---|\n"
)
CRYSTAL_HEAD = (
    "| gate of | AUC | known | turned by 20 degrees: AUC | known | a quarter of the dose: AUC "
    "| known | other crystals known |\n|---|---|---|---|---|---|---|---|\n"
)
SPEED_HEAD = (
    "| 64 tiles of 128 px | ms, least | ms, median | ms of both processors, least |\n"
    "|---|---|---|---|\n"
)
SPLITS = 6
OTHER = {"cdte": "sto", "sto": "cdte"}
FEW_SPLITS = GateFitSettings(n_splits=1)
TRAINED = tuple(range(1, 9))
ASKED = tuple(range(21, 25))


def sights_of(tiles: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Tiles as they are, turned, and inverted."""
    return tiles, np.rot90(tiles, axes=(1, 2)), 255 - tiles


def tile_rows() -> Iterator[str]:
    """Published tiles: a gate of each material, asked about its own and about the other."""
    for name, n in (("cdte", 20), ("cdte", 50), ("sto", 20), ("sto", 50)):
        (tiles, is_defect), (others, other_defect) = (
            published_tiles(name),
            published_tiles(OTHER[name]),
        )
        figures = []
        for seed in range(SPLITS):
            taught, asked = drawn_lots(is_defect, n, seed)
            gate = fit_gate(tiles[taught], is_defect[taught], FEW_SPLITS).gate
            areas, known = [], 0.0
            for sight in sights_of(tiles[asked]):
                verdicts = gate.judge(sight)
                areas.append(area_under_curve(verdicts.p_defect, is_defect[asked]))
                known += float(verdicts.known.mean()) / 3
            foreign = gate.judge(others)
            area = area_under_curve(foreign.p_defect, other_defect)
            figures.append([*areas, known, float(foreign.known.mean()), area])
        mean, least = np.mean(figures, axis=0), np.min(figures, axis=0)
        areas_told = " | ".join(f"{mean[k]:.3f} ({least[k]:.3f})" for k in range(3))
        most = np.max(figures, axis=0)[4]
        yield (
            f"| {name} | {n} | {areas_told} | {100 * mean[3]:.1f} % ({100 * least[3]:.1f}) "
            f"| {100 * mean[4]:.1f} % ({100 * most:.1f}) | {mean[5]:.3f} |\n"
        )


def paper_rows() -> Iterator[str]:
    """What a fit says of itself."""
    for name in OTHER:
        tiles, is_defect = published_tiles(name)
        taught, _ = drawn_lots(is_defect, 50, 0)
        begun = time.perf_counter()
        report = fit_gate(tiles[taught], is_defect[taught]).report
        spent = time.perf_counter() - begun
        told = " | ".join(
            f"{100 * report.metrics[one][0]:.1f} +- {100 * report.metrics[one][1]:.1f} %"
            for one in ("accuracy", "precision", "specificity", "recall")
        )
        yield f"| {name}, 50 + 50 labels | {told} | {spent:.0f} |\n"


def crystal_tiles(crystal: str, seeds: tuple[int, ...], **scene: float) -> LabelledTiles:
    """Tiles of simulated frames of two domains, labelled by a mask of the second."""
    parts = []
    for seed in seeds:
        settings = {"rotation_deg": 3.0 * seed, "angle_rad": 0.7 * seed, **scene}
        drawn = bicrystal(crystal, seed=seed, share=0.4, vacancies=0, **settings)
        mask = np.where(drawn.beyond_px > 0, 127, 0)
        parts.append(tiles_of_mask(drawn.image, mask))
    return together(parts)


def crystal_fit(crystal: str) -> GateFit:
    """Fit a gate on eight frames."""
    learned = crystal_tiles(crystal, TRAINED)
    return fit_gate(learned.tiles, learned.is_defect, FEW_SPLITS)


def crystal_rows() -> Iterator[str]:
    """Boundaries of the simulator's crystals: other frames, other angles, less dose."""
    gates = {crystal: crystal_fit(crystal).gate for crystal in CRYSTALS}
    asked = {crystal: crystal_tiles(crystal, ASKED) for crystal in CRYSTALS}
    for crystal, gate in gates.items():
        told = [
            _area_and_known(gate, some)
            for some in (
                asked[crystal],
                crystal_tiles(crystal, ASKED, rotation_deg=20.0),
                crystal_tiles(crystal, ASKED, dose=0.25),
            )
        ]
        others = " ".join(
            f"{other} {100 * gate.judge(some.tiles).known.mean():.0f} %"
            for other, some in asked.items()
            if other != crystal
        )
        yield f"| {crystal} | {' | '.join(told)} | {others} |\n"


def _area_and_known(gate: Gate, some: LabelledTiles) -> str:
    verdicts = gate.judge(some.tiles)
    area = area_under_curve(verdicts.p_defect, some.is_defect)
    return f"{area:.3f} | {100 * verdicts.known.mean():.0f} %"


def speed_rows() -> Iterator[str]:
    """Time of the tiles of a frame."""
    gate = crystal_fit("mos2").gate
    tiles = np.random.default_rng(0).poisson(20.0, (64, 128, 128)).astype(np.float32)
    spent, worked = [], []
    for _ in range(201):
        begun, before = time.perf_counter(), time.process_time()
        gate.judge(tiles)
        spent.append(1e3 * (time.perf_counter() - begun))
        worked.append(1e3 * (time.process_time() - before))
    yield (f"| two threads | {min(spent):.0f} | {np.median(spent[1:]):.0f} | {min(worked):.0f} |\n")


def main() -> None:
    """Run what is named, or everything, print the tables, and put them into the page."""
    parts = {
        "tiles": (TILE_HEAD, tile_rows),
        "paper": (PAPER_HEAD, paper_rows),
        "crystals": (CRYSTAL_HEAD, crystal_rows),
        "speed": (SPEED_HEAD, speed_rows),
    }
    for name in sys.argv[1:] or parts:
        head, rows = parts[name]
        sys.stdout.write(head)
        lines = []
        for line in rows():
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
        put(head, "".join(lines))


if __name__ == "__main__":
    main()
