"""Measures the dense residual by itself on simulated images with known truth, and prints a table.

    python tests/accuracy/vae_simulated.py [SAMPLE...]

Each image is its own reference, as in measure.py; the law of its scores is `null.USUAL_LAW`. The
images lie beside the checkout, in ../shared/data/simulated, and are not part of the project.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import adjusted_q
from latticewatch.detectors.vae.dense import DenseScorer
from latticewatch.detectors.vae.null import USUAL_LAW, p_values
from latticewatch.detectors.vae.pca import fit_dense, mean_period

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from accuracy.measure import HEAD, line
from accuracy.vae_calibration import brightest_sites
from support.band_scorers import on_own_levels
from support.bands import blurred
from support.shared_data import DATA, shared_image

SAMPLES = ("ws2_mono_A", "sto_A", "perfect_sto_A", "perfect_ws2_A")
NAME = "dense residual"
_FDR = 0.05
# Lobes this near, in periods, are of one defect; two of like strength are a displaced column's.
_ONE_DEFECT, _LIKE = 0.7, 0.5


def findings(image: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Places past the cut, strangest first, each with a score."""
    lock, _ = brightest_sites(image, image)
    period_px = mean_period(lock.basis_px_yx)
    view = on_own_levels(blurred(image, period_px))
    scorer = DenseScorer(fit_dense([view], lock.basis_px_yx))
    _, places = brightest_sites(image, view)
    scores = scorer.score(view, places)
    strange = np.sqrt(scores.energy)
    strange[scorer.shadowed(strange, places)] = np.nan
    p_value, _ = p_values(strange, USUAL_LAW)
    scored = np.flatnonzero(~np.isnan(p_value))
    passed = scored[adjusted_q(p_value[scored]) <= _FDR]
    found: list[dict[str, Any]] = []
    for site in passed[np.argsort(p_value[passed])]:
        lobes = scorer.lobes(scores.residual, places[[site]])[0]
        place = lobes[1:3]
        if abs(lobes[3]) > _LIKE * abs(lobes[0]):
            place = (lobes[1:3] + lobes[4:6]) / 2
        away = [np.hypot(*(place - other["pixel_yx"])) for other in found]
        if not away or min(away) > _ONE_DEFECT * period_px:
            score = -float(np.log10(p_value[site]))
            found.append({"pixel_yx": place.tolist(), "score": score, "kind": "unknown"})
    return found


def rows_of(sample: str, folder: Path) -> list[dict[str, Any]]:
    """What the scorer says of every noisy image of a sample."""
    events = folder / "events.jsonl"
    with events.open("w", encoding="utf-8") as out:
        for path in sorted((DATA / "simulated").glob(f"{sample}_d*.tif")):
            found = findings(shared_image(f"simulated/{path.name}"))
            event = {"input": {"path": str(path), "index": 0}, "defects": found}
            out.write(json.dumps(event) + "\n")
    scorer = str(DATA.parent / "accept" / "score_defects.py")
    truth = str(DATA / "simulated" / f"{sample}_truth.json")
    command = [sys.executable, scorer, truth, str(events), "--json"]
    scored = subprocess.run(command, check=True, capture_output=True, text=True)
    rows: list[dict[str, Any]] = json.loads(scored.stdout)
    return rows


def main() -> None:
    """Run everything and print the table."""
    sys.stdout.write(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        for sample in sys.argv[1:] or SAMPLES:
            for row in rows_of(sample, Path(folder)):
                sys.stdout.write(line(row, NAME))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
