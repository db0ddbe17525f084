"""How fast this computer scores: each kernel, each stage, a whole frame, and a plain SciPy version.

The plain version is not installed with the package; it is found in the checkout that an editable
install runs from.
"""

import importlib.metadata
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from latticewatch.adapters.recorded import open_recording
from latticewatch.daemon.bench_detectors import detector_cases
from latticewatch.daemon.bench_kernels import Case, kernel_cases, prepare
from latticewatch.daemon.bench_motifs import motif_cases
from latticewatch.daemon.bench_symmetry import gate_case, symmetry_cases
from latticewatch.daemon.bench_vae import autoencoder_cases
from latticewatch.daemon.config import Settings, load_settings
from latticewatch.daemon.doctor import blas_name, usable_cores
from latticewatch.daemon.exchange import Incoming
from latticewatch.daemon.models import load_patterson
from latticewatch.daemon.offline_frames import incoming_frame
from latticewatch.daemon.offline_pipeline import make_pipeline
from latticewatch.daemon.outcome import Outcome
from latticewatch.daemon.processes import run_simulator

TWIN = Path(__file__).resolve().parents[3] / "tests" / "reference" / "straightforward.py"
# Scheme one as one would write it first: maps by two Fourier transforms in double precision.
WRITTEN_FIRST = TWIN.with_name("scheme_one.py")
SCHEME_ONE = ("segment", "features", "score")
N_WARM_UP = 3  # the first compiles or loads, the second fills caches
NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock times of repeated calls."""

    median_ms: float
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class PipelineTiming(Timing):
    """Of whole frames, with what was in them and the median of each stage in ms."""

    n_sites: int
    stage_ms: dict[str, float]


def time_calls(call: Callable[[], object], repeats: int) -> Timing:
    """Time a call again and again, after a warm-up that does not count."""
    for _ in range(N_WARM_UP):
        call()
    times_ms = []
    for _ in range(repeats):
        start_ns = time.perf_counter_ns()
        call()
        times_ms.append((time.perf_counter_ns() - start_ns) / NS_PER_MS)
    return Timing(statistics.median(times_ms), float(np.quantile(times_ms, 0.99)))


def find_twin(path: Path = TWIN) -> ModuleType | None:
    """Load a straightforward version; None where the package runs outside its checkout."""
    if not path.exists():
        return None
    name = f"latticewatch_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up the module that they were made in.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def simulated_frame(size_px: int, folder: Path) -> Incoming:
    """Simulate one frame of the default crystal, 24 px per lattice vector."""
    path = folder / f"bench_{size_px}.npy"
    run_simulator(["--size", str(size_px), "--frames", "1", "--save", str(path)])
    return incoming_frame(open_recording(path), 0)


def measure_pipeline(settings: Settings, incoming: Incoming, *, repeats: int) -> PipelineTiming:
    """Time the daemon's pipeline on one frame, everything included but the sockets.

    Parameters
    ----------
    settings
        Name the model.
    incoming
        From `simulated_frame`.
    repeats
        Frames that count.
    """
    pipeline = make_pipeline(settings)
    outcomes: list[Outcome] = []
    timing = time_calls(lambda: outcomes.append(pipeline.process(incoming)), repeats)
    timed = outcomes[N_WARM_UP:]
    return PipelineTiming(
        median_ms=timing.median_ms,
        p99_ms=timing.p99_ms,
        n_sites=timed[-1].event.n_sites,
        stage_ms={
            stage: statistics.median(outcome.stage_us[stage] for outcome in timed) / 1000
            for stage in timed[-1].stage_us
        },
    )


def run_bench(
    *, size_px: int, repeats: int, tell: Callable[[str], None]
) -> dict[str, Any]:  # Any: JSON
    """Measure every row; see `latticewatch bench --json`.

    Parameters
    ----------
    size_px
        Side of the frame.
    repeats
        Timed calls per row; the straightforward version gets fewer, it is slow enough to time.
    tell
        Takes what was measured last; all of it takes two minutes.
    """
    settings = load_settings()
    twin = find_twin()
    with tempfile.TemporaryDirectory(prefix="latticewatch-bench-") as folder:
        incoming = simulated_frame(size_px, Path(folder))
    frame = measure_pipeline(settings, incoming, repeats=repeats)
    pixels = incoming.pixels
    model = load_patterson(settings.detectors.patterson.model).detector.model
    ready = prepare(pixels, model)
    row = RowMaker(frame=f"{size_px}x{size_px}", repeats=repeats, twin=twin, tell=tell)
    vae_cases, notes = autoencoder_cases(pixels)
    maps, against_paper, missing = symmetry_cases(pixels)
    motifs, unnamed = motif_cases(pixels)
    rows = [row.of_case(case, n_sites=ready.n_sites) for case in kernel_cases(ready, model)]
    rows += [
        row.make(name, time_calls(call, repeats), n_sites=frame.n_sites, plain=None)
        for name, call in [*detector_cases(pixels), *vae_cases, *maps, *motifs]
    ]
    rows += [
        row.make(name, time_calls(ours, repeats), n_sites=frame.n_sites, plain=theirs)
        for name, ours, theirs in against_paper
    ]
    if gate := gate_case(pixels):
        name, call, threads = gate
        timing = time_calls(call, repeats)
        rows.append(row.make(name, timing, n_sites=frame.n_sites, plain=None, threads=threads))
    rows += [
        row.make(f"stage {name}", Timing(median_ms, None), n_sites=frame.n_sites, plain=None)
        for name, median_ms in frame.stage_ms.items()
        if name != "total"
    ]
    plain = None if twin is None else lambda: twin.score_frame(pixels, model)
    scheme_one_ms = sum(frame.stage_ms.get(name, 0.0) for name in SCHEME_ONE)
    rows.append(
        row.make(
            f"scheme one: {', '.join(SCHEME_ONE)}",
            Timing(scheme_one_ms, None),
            n_sites=ready.n_sites,
            plain=plain,
        )
    )
    first = find_twin(WRITTEN_FIRST)
    if first is not None:
        written_first = first.fitted(pixels, model)
        rows.append(
            row.make(
                "scheme one, against the paper's steps",
                Timing(scheme_one_ms, None),
                n_sites=ready.n_sites,
                plain=lambda: first.score(pixels, written_first),
            )
        )
    name = f"whole pipeline {size_px}x{size_px}"
    rows.append(row.make(name, frame, n_sites=frame.n_sites, plain=None))
    notes = (*notes, *missing, *unnamed)
    if not twin:
        notes = (f"no straightforward version: {TWIN} is in the checkout only", *notes)
    return {"machine": machine(), "rows": rows, "note": "\n".join(notes) or None}


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes the rows of one run; measures the straightforward version where there is one."""

    frame: str
    repeats: int
    twin: ModuleType | None
    tell: Callable[[str], None]

    def of_case(self, case: Case, *, n_sites: int) -> dict[str, Any]:  # Any: JSON
        """Measure one kernel."""
        twin = self.twin
        plain = None if twin is None else lambda: case.plain(twin)
        timing = time_calls(case.compiled, self.repeats)
        return self.make(case.name, timing, n_sites=n_sites, plain=plain)

    def make(
        self,
        name: str,
        timing: Timing,
        *,
        n_sites: int,
        plain: Callable[[], object] | None,
        threads: int = 1,
    ) -> dict[str, Any]:  # Any: JSON
        """Put one row together."""
        plain_ms = (
            None if plain is None else time_calls(plain, max(self.repeats // 10, 3)).median_ms
        )
        self.tell(f"{name}: {timing.median_ms:.2f} ms")
        return {
            "name": name,
            "frame": self.frame,
            "sites": n_sites,
            "threads": threads,
            "median_ms": round(timing.median_ms, 4),
            "p99_ms": None if timing.p99_ms is None else round(timing.p99_ms, 4),
            "straightforward_ms": None if plain_ms is None else round(plain_ms, 3),
            "ratio": None if plain_ms is None else round(plain_ms / timing.median_ms, 1),
        }


def machine() -> dict[str, Any]:  # Any: JSON
    """Name what the figures were measured on."""
    return {
        "processor": processor_name(),
        "cores": usable_cores(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": importlib.metadata.version("numba"),
        "blas": blas_name(),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
        "system": platform.platform(),
    }


def processor_name() -> str:
    """Read the name that the processor gives itself."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def show_table(result: dict[str, Any]) -> None:  # Any: JSON
    """Print the rows for people."""
    from rich.console import Console
    from rich.table import Table

    about = result["machine"]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for name in ("sites", "median ms", "p99 ms", "SciPy ms", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result["rows"]:
        figures = [row["median_ms"], row["p99_ms"], row["straightforward_ms"]]
        shown = ["" if figure is None else f"{figure:.2f}" for figure in figures]
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.1f} x"
        table.add_row(row["name"], str(row["sites"]), *shown, ratio)
    console = Console(highlight=False)
    console.print(f"{about['processor']}, {about['cores']:g} cores, one thread")
    console.print(table)
    if result["note"]:
        console.print(result["note"])
