"""`analyze` called as the command line calls it, and what of its lines may not change."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latticewatch.daemon.offline import analyze_inputs
from latticewatch.daemon.offline_pipeline import (
    offline_settings,
    with_detectors,
    with_models,
)
from latticewatch.daemon.offline_results import Destination

USUAL = ("reference_cell", "patterson", "domains")


def analyze(
    *inputs: Path,
    out: Path,
    plot_folder: Path | None = None,
    model: Path | None = Path("pretrained:mos2"),
    detectors: Sequence[str] = USUAL,
) -> list[dict[str, Any]]:  # Any: JSON
    """The lines that are written."""
    chosen = with_detectors(offline_settings(), detectors)
    settings, to_fit = with_models(chosen, [model] if model and "patterson" in detectors else [])
    analyze_inputs(
        list(inputs),
        settings=settings,
        to_fit=to_fit,
        to=Destination(out=out, plot_folder=plot_folder),
    )
    return [json.loads(line) for line in out.read_text().splitlines()]


def without_times(line: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """A line as it is in every run."""
    detectors = [{**entry, "us": 0} for entry in line["detectors"]]
    return {**line, "t_pub_ns": 0, "t_recv_ns": 0, "latency_us": {}, "detectors": detectors}
