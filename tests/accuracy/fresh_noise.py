"""Measures the reference cell over many draws of the noise, and writes the table of README.md.

    python tests/accuracy/fresh_noise.py [DRAWS]

One image is one draw: near the limit a defect more or less is luck. The clean images beside the
noisy ones are scanned anew, with the dose, detector and distortion of each noisy one, and scored as
that one is.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.page import put  # noqa: E402 - the support of the tests first
from support.shared_data import DATA  # noqa: E402

SAMPLES = ("ws2_mono_A", "sto_A", "mote2_bilayer_A", "graphene_A")
HEAD = (
    "| image, dose in e/A^2 | draws | found | false | precision | of the ideal | error | rms pm |\n"
    "|---|---|---|---|---|---|---|---|\n"
)
_SMOOTH_PX = 60.0  # of the distortion


def scanned(
    clean: NDArray[np.float64], image: dict[str, Any], rng: np.random.Generator
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """A noisy frame of a clean one (H, W), and by how much each of its pixels was displaced."""
    bend = np.stack([gaussian_filter(rng.normal(size=clean.shape), _SMOOTH_PX) for _ in range(2)])
    bend *= image["slow_distortion_rms_px"] / bend.std(axis=(1, 2), keepdims=True)
    jitter = rng.normal(0.0, image["line_jitter_sigma_px"], (clean.shape[0], 1))
    at = np.indices(clean.shape) + bend
    at[1] += jitter
    dose = np.maximum(map_coordinates(clean, at, order=3, mode="nearest"), 0.0)
    counts = rng.poisson(dose * image["electrons_per_pixel"] + image["dark_counts_per_pixel"])
    readout = rng.normal(image["offset_adu"], image["readout_sigma_adu"], clean.shape)
    frame = np.rint(counts * image["adu_per_electron"] + readout)
    return np.clip(frame, 0, 65535).astype(np.uint16), bend


def displaced(places: NDArray[np.float64], bend: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where places (2, N) of the clean image are in the scanned one."""
    found = places
    for _ in range(5):
        found = places - np.stack([map_coordinates(part, found, order=1) for part in bend])
    return found


def draw(sample: str, image: dict[str, Any], n_draws: int, folder: Path) -> list[dict[str, Any]]:
    """What the scorer says of the reference cell on each draw of one image."""
    simulated = DATA / "simulated"
    truth = json.loads((simulated / f"{sample}_truth.json").read_text(encoding="utf-8"))
    clean = tifffile.imread(simulated / f"{sample}_clean.tif").astype(np.float64)
    still = {
        "defects": np.array([[one[axis] for one in truth["defects"]] for axis in ("y", "x")]),
        "sites": np.array([truth["sites"][axis] for axis in ("y", "x")]),
    }
    images, paths = [], []
    for number in range(n_draws):
        frame, bend = scanned(clean, image, np.random.default_rng(1000 + number))
        path = folder / f"{number}.tif"
        tifffile.imwrite(path, frame)
        paths.append(str(path))
        moved = dict(image, file=path.name)
        for name, places in still.items():
            moved[f"{name}_y"], moved[f"{name}_x"] = displaced(places, bend).tolist()
        images.append(moved)
    known, events = folder / "truth.json", folder / "events.jsonl"
    known.write_text(json.dumps(dict(truth, images=images)), encoding="utf-8")
    analyze = [sys.executable, "-m", "latticewatch.daemon", "analyze", *paths]
    subprocess.run(
        [*analyze, "--out", str(events), "--detectors", "reference_cell"],
        check=True,
        capture_output=True,
    )
    scorer = [
        sys.executable,
        str(DATA.parent / "accept" / "score_defects.py"),
        str(known),
        str(events),
    ]
    scored = subprocess.run([*scorer, "--json"], check=True, capture_output=True, text=True)
    rows: list[dict[str, Any]] = json.loads(scored.stdout)
    return rows


def line(name: str, rows: list[dict[str, Any]]) -> str:
    """One row of the table."""
    mean = {
        key: float(np.nanmean([row[key] for row in rows]))
        for key in ("found", "defects", "false", "precision", "efficiency", "loc_pm")
    }
    error = np.std([row["efficiency"] for row in rows]) / np.sqrt(len(rows))
    return (
        f"| {name} | {len(rows)} | {mean['found']:.1f} of {mean['defects']:.0f} "
        f"| {mean['false']:.1f} | {mean['precision']:.2f} | {mean['efficiency']:.2f} "
        f"| {error:.2f} | {mean['loc_pm']:.0f} |\n"
    )


def main() -> None:
    """Draw, score, print the table, and put it into the page."""
    n_draws = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    lines = []
    for sample in SAMPLES:
        truth = DATA / "simulated" / f"{sample}_truth.json"
        images = json.loads(truth.read_text(encoding="utf-8"))["images"]
        for image in images:
            if image["kind"] != "noisy":
                continue
            with tempfile.TemporaryDirectory() as folder:
                rows = draw(sample, image, n_draws, Path(folder))
            lines.append(line(image["file"].removesuffix(".tif"), rows))
            sys.stdout.write(lines[-1])
            sys.stdout.flush()
    put(HEAD, "".join(lines))


if __name__ == "__main__":
    main()
