"""Measures the autoencoder and its linear twin on simulated images with known truth.

    python tests/accuracy/vae_simulated.py [SAMPLE...]

Each image is its own reference, as in measure.py, and each scorer spends the whole budget alone.
The images lie beside the checkout, in ../shared/data/simulated, and are not part of the project.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.look_vae import SiteLooker, site_detector
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.sights import Budget, Scene
from latticewatch.detectors.vae.fit import fit
from latticewatch.detectors.vae.linear_model import LinearModel
from latticewatch.detectors.vae.model import DETECTOR, VaeModel
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.twin_fit import fit_linear

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from accuracy.measure import HEAD, line
from support.shared_data import DATA, shared_image

SAMPLES = ("ws2_mono_A", "sto_A", "perfect_sto_A", "perfect_ws2_A")
_FDR = 0.05
Image = NDArray[np.float32]
Model = VaeModel | LinearModel


def _network_alone(image: Image) -> Model:
    return replace(fit([image])[0], pca=None)


SCORERS: dict[str, Callable[[Image], Model]] = {
    "linear twin": lambda image: fit_linear([image], VaeParameters())[0],
    "network": _network_alone,
    "both": lambda image: fit([image])[0],
}


def findings(image: Image, model: Model) -> list[dict[str, Any]]:
    """Places past the cut, strangest first, each with a score."""
    looker = SiteLooker(site_detector(model, "fitted"), (DETECTOR, "fitted", ""), SystemClock())
    scene = Scene(image, np.empty((0, 2), np.intp), None)
    sight = looker.look(scene, Budget(_FDR, None))
    return [
        {
            "pixel_yx": list(one.pixel_yx),
            "score": -float(np.log10(one.p_value)),
            "kind": one.kind,
        }
        for one in sight.findings
    ]


def rows_of(sample: str, make: Callable[[Image], Model], folder: Path) -> list[dict[str, Any]]:
    """What a scorer says of every noisy image of a sample."""
    events = folder / "events.jsonl"
    with events.open("w", encoding="utf-8") as out:
        for path in sorted((DATA / "simulated").glob(f"{sample}_d*.tif")):
            image = np.ascontiguousarray(shared_image(f"simulated/{path.name}"), np.float32)
            found = findings(image, make(image))
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
            for name, make in SCORERS.items():
                for row in rows_of(sample, make, Path(folder)):
                    sys.stdout.write(line(row, name))
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
