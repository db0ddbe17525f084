"""Measures the detectors on simulated images with known truth, and writes the table of README.md.

    python tests/accuracy/measure.py

The images lie beside the checkout, in ../shared/data/simulated, and are not part of the project.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.page import put  # noqa: E402 - the support of the tests first
from support.shared_data import DATA  # noqa: E402

SAMPLES = (
    *("ws2_mono_A", "sto_A", "mote2_bilayer_A", "graphene_A"),
    *("perfect_cdte_A", "perfect_sto_A", "perfect_ws2_A"),
)
DETECTORS = ("patterson", "reference_cell", "reference_cell,patterson,domains")
HEAD = (
    "| image, dose in e/A^2 | detectors | found | false | precision | recall at 1 false "
    "| of the ideal | rms pm |\n|---|---|---|---|---|---|---|---|\n"
)


def scores(sample: str, detectors: str, folder: Path) -> list[dict[str, Any]]:
    """What the scorer says of every noisy image of a sample."""
    simulated = DATA / "simulated"
    images = [str(path) for path in sorted(simulated.glob(f"{sample}_d*.tif"))]
    events = folder / "events.jsonl"
    analyze = [sys.executable, "-m", "latticewatch.daemon", "analyze", *images]
    subprocess.run(
        [*analyze, "--out", str(events), "--detectors", detectors], check=True, capture_output=True
    )
    scorer = str(DATA.parent / "accept" / "score_defects.py")
    truth = str(simulated / f"{sample}_truth.json")
    scored = subprocess.run(
        [sys.executable, scorer, truth, str(events), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    rows: list[dict[str, Any]] = json.loads(scored.stdout)
    return rows


def line(row: dict[str, Any], detectors: str) -> str:
    """One row of the table; a figure that does not exist is a dash."""
    cells = [row["image"].removesuffix(".tif"), detectors, f"{row['found']}/{row['defects']}"]
    cells.append(str(row["false"]))
    for key, digits in (
        ("precision", 2),
        ("recall_at_1", 2),
        ("efficiency", 2),
        ("loc_pm", 0),
    ):
        value = row[key]
        exists = value is not None and value == value
        cells.append(f"{value:.{digits}f}" if exists else "-")
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Run everything, print the table, and put it into the page."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for sample in SAMPLES:
            for detectors in DETECTORS:
                rows = scores(sample, detectors, Path(folder))
                lines += [line(row, detectors.replace(",", " + ")) for row in rows]
    sys.stdout.write(HEAD + "".join(lines))
    put(HEAD, "".join(lines))


if __name__ == "__main__":
    main()
