"""Is this computer fit for the daemon? One line each: what was found, verdict, remedy."""

import importlib.metadata
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from latticewatch.daemon.config import ComputeSettings, Settings

Verdict = Literal["good", "fair", "bad"]
FEWEST_CORES = 2  # loop and receive thread; a simulator or client beside them shares
FEWEST_DESCRIPTORS = 256  # every subscriber takes one
FEWEST_FREE_MIB = 600  # the daemon keeps 400 at most, the rest is for frames in flight
TARGET_FPS = 30.0  # what the demo asks for
MEASURED_SIZES_PX = (512, 1024, 2048)
N_TIMED = 20
LIBRARIES = ("numpy", "numba", "scipy", "pyzmq", "msgspec", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor: a subject, what was found, how good that is, and what to do."""

    subject: str
    found: str
    verdict: Verdict = "good"
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Plain values, for JSON."""
        return asdict(self)


def examine(settings: Settings) -> list[Check]:
    """Look at everything; a look that fails is a bad line, not the end of the others."""
    looks: list[Callable[[], Iterator[Check]]] = [
        check_versions,
        check_cores,
        lambda: check_threads(settings.compute),
        check_numba_cache,
        lambda: check_ports(settings),
        check_limits,
        check_extras,
        lambda: check_speed(settings),
    ]
    checks: list[Check] = []
    for look in looks:
        try:
            checks += look()
        except Exception as failure:  # a doctor who faints helps nobody
            subject = getattr(look, "__name__", "check").removeprefix("check_")
            checks.append(Check(subject, f"{type(failure).__name__}: {failure}", "bad"))
    return checks


def check_versions() -> Iterator[Check]:
    """Python and the libraries whose versions decide speed and behaviour."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    yield Check("versions", f"Python {sys.version.split()[0]}, {versions}")


def check_cores() -> Iterator[Check]:
    """Cores that this process may use, and who else uses them now."""
    n_cores = usable_cores()
    yield Check(
        "cores",
        f"{n_cores:g} usable",
        "good" if n_cores >= FEWEST_CORES else "fair",
        "" if n_cores >= FEWEST_CORES else "give it two: receiving and scoring run side by side",
    )
    load = os.getloadavg()[0]
    is_busy = load > 0.5 * n_cores
    yield Check(
        "other load",
        f"{load:.1f} busy on average over the last minute",
        "fair" if is_busy else "good",
        "other programs want these cores: expect late frames" if is_busy else "",
    )


def usable_cores() -> float:
    """Cores of the affinity mask, less where the control group grants a smaller share."""
    n_cores = float(len(os.sched_getaffinity(0)))
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.exists():
        granted, period = quota.read_text().split()
        if granted != "max":
            n_cores = min(n_cores, int(granted) / int(period))
    return n_cores


def check_threads(compute: ComputeSettings) -> Iterator[Check]:
    """Threads that NumPy's BLAS and numba would start."""
    import numba

    threads = os.environ.get("OPENBLAS_NUM_THREADS", "unset")
    yield Check(
        "BLAS threads",
        f"OPENBLAS_NUM_THREADS = {threads}, {blas_name()}",
        "good" if threads == "1" else "fair",
        "" if threads == "1" else "unset it: more than one fights with the loop",
    )
    yield Check("numba threads", f"{compute.threads} of {numba.get_num_threads()} used")


def blas_name() -> str:
    """Name and version of the linear algebra behind NumPy."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def check_numba_cache() -> Iterator[Check]:
    """Where compiled kernels are kept, and whether any are there."""
    folder = numba_cache_folder()
    if folder is None:
        yield Check(
            "numba cache",
            "not writable: every start compiles anew, half a minute",
            "bad",
            "set NUMBA_CACHE_DIR to a folder that you may write",
        )
        return
    n_kept = sum(1 for _ in folder.rglob("*.nbi"))
    yield Check(
        "numba cache",
        f"{folder}: {n_kept} kernels kept",
        "good" if n_kept else "fair",
        "" if n_kept else "the first start compiles, the later ones load",
    )


def numba_cache_folder() -> Path | None:
    """Folder that holds compiled kernels; None if neither choice of numba's can be written."""
    from latticewatch import kernels

    candidates = [Path(path) for path in kernels.__path__]
    if os.environ.get("NUMBA_CACHE_DIR"):
        candidates = [Path(os.environ["NUMBA_CACHE_DIR"])]
        candidates[0].mkdir(parents=True, exist_ok=True)
    return next((folder for folder in candidates if os.access(folder, os.W_OK)), None)


def check_ports(settings: Settings) -> Iterator[Check]:
    """Whether the daemon could bind where its settings say."""
    endpoints = {
        "ingest.endpoint": settings.ingest.endpoint,
        "events.endpoint": settings.events.endpoint,
        "http.port": f"tcp://{settings.http.host}:{settings.http.port}",
    }
    for name, endpoint in endpoints.items():
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        if not endpoint.startswith("tcp://") or port in ("0", "*"):
            yield Check(name, f"{endpoint}: needs no fixed port")
        elif port_is_free(host.strip("[]"), int(port)):
            yield Check(name, f"{endpoint} is free")
        else:
            yield Check(
                name,
                f"{endpoint} is in use",
                "fair",
                "a daemon runs already? else choose another in the settings",
            )


def port_is_free(host: str, port: int) -> bool:
    """Whether a TCP port can be bound now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As libzmq does; without it a port that was in use a minute ago looks taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def check_limits() -> Iterator[Check]:
    """Memory and file descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft >= FEWEST_DESCRIPTORS or soft == resource.RLIM_INFINITY
    yield Check(
        "file descriptors",
        "unlimited" if soft == resource.RLIM_INFINITY else str(soft),
        "good" if enough else "fair",
        "" if enough else f"ulimit -n {FEWEST_DESCRIPTORS}: each subscriber takes one",
    )
    free_mib = available_mib()
    enough = free_mib >= FEWEST_FREE_MIB
    yield Check(
        "memory",
        f"{free_mib:,.0f} MiB available",
        "good" if enough else "bad",
        "" if enough else f"the daemon wants {FEWEST_FREE_MIB} MiB: close something",
    )


def available_mib() -> float:
    """Memory that can still be had, in MiB."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["MemAvailable"].split()[0]) / 1024


def check_extras() -> Iterator[Check]:
    """Whether files and plots can be handled here."""
    import importlib.util

    wanted = ("tifffile", "imagecodecs", "matplotlib")
    absent = [name for name in wanted if importlib.util.find_spec(name) is None]
    yield Check(
        "files and plots",
        "all readers" if not absent else f"without {', '.join(absent)}",
        "fair" if absent else "good",
        'pip install "latticewatch[io]"' if absent else "",
    )


def check_speed(settings: Settings) -> Iterator[Check]:
    """Time of a scored frame of each size here, and the frame rate that it permits."""
    from latticewatch.daemon.bench import measure_pipeline, simulated_frame

    with tempfile.TemporaryDirectory() as folder:
        for size_px in MEASURED_SIZES_PX:
            frame = simulated_frame(size_px, Path(folder))
            timing = measure_pipeline(settings, frame, repeats=N_TIMED)
            rate = 1000 / timing.median_ms
            yield Check(
                f"{size_px} x {size_px}",
                f"{timing.median_ms:.1f} ms a frame, {timing.n_sites} sites: "
                f"{rate:.0f} frames/s on one thread",
                "good" if rate >= TARGET_FPS else "fair",
                "" if rate >= TARGET_FPS else f"slower than {TARGET_FPS:g} frames/s: newest wins",
            )


def show_table(checks: list[Check]) -> None:
    """Print the lines for people."""
    from rich.console import Console
    from rich.table import Table

    colours: dict[Verdict, str] = {"good": "green", "fair": "yellow", "bad": "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("verdict", "subject", "found and remedy"):
        table.add_column(column, no_wrap=column != "found and remedy")
    for check in checks:
        remedy = f"\n-> {check.remedy}" if check.remedy else ""
        colour = colours[check.verdict]
        table.add_row(f"[{colour}]{check.verdict}[/]", check.subject, check.found + remedy)
    Console(highlight=False).print(table)
