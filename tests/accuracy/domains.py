"""Measures scheme two against its published form, on twins that are drawn and on the real one.

    python tests/accuracy/domains.py

Prints the table and puts it into README.md. Needs nothing but the project; the row of ZrO2 comes
from an image that lies beside the checkout, and is left out where it does not. The published form
fits a one-class machine of scikit-learn to each frame and reflection; nothing else runs it.
"""

import os

# Before numpy reads it: times are those of one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from latticewatch.detectors.patterson.domains import (  # noqa: E402 - the support of the tests first
    DomainMap,
    find_domains,
)
from latticewatch.detectors.patterson.fringe_fit import fit_fringes  # noqa: E402
from support.twins import twin  # noqa: E402

PAGE = Path(__file__).with_name("README.md")
ZRO2 = ROOT.parent / "shared" / "data" / "real" / "zro2_monoclinic.tif"
SEEDS = (1, 2, 3, 4)
CLEAR_PX = 15.0  # columns nearer to the boundary are left out
N_REPEATS = 5
HEAD = (
    "| twin | default | ms | one-class machine, smaller domain's reflection | larger domain's "
    "| ms, one reflection |\n|---|---|---|---|---|---|\n"
)
Distance = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one frame: balanced accuracies over columns, and milliseconds of CPU."""

    default: float
    default_ms: float
    of_smaller: float
    of_larger: float
    published_ms: float


def measure(frame: NDArray[np.float32], distance_px: Distance) -> Measured:
    """Both ways on one frame; `distance_px` of a column is positive in the smaller domain."""
    domains = find_domains(frame)
    assert domains is not None
    durations_ms = [_timed_ms(lambda: find_domains(frame)) for _ in range(N_REPEATS)]
    published, columns, published_ms = [], np.empty((0, 2)), 0.0
    for domain in (1, 0):
        start_s = time.process_time()
        result = fit_fringes(frame, _reflection_of(domains, domain))
        published_ms = 1000 * (time.process_time() - start_s)
        columns = result.columns_px_yx
        published.append(_accuracy(~result.is_normal, result.is_normal, distance_px(columns)))
    found = domains.domain_of(columns)
    return Measured(
        default=_accuracy(found == 1, found == 0, distance_px(columns)),
        default_ms=min(durations_ms),
        of_smaller=published[0],
        of_larger=published[1],
        published_ms=published_ms,
    )


def _timed_ms(call: Callable[[], object]) -> float:
    start_s = time.process_time()
    call()
    return 1000 * (time.process_time() - start_s)


def _reflection_of(domains: DomainMap, domain: int) -> tuple[float, float]:
    """The strongest that belongs to a domain alone."""
    return next(one.g_per_px for one in domains.reflections if one.domain == domain)


def _accuracy(
    is_smaller: NDArray[np.bool_], is_larger: NDArray[np.bool_], distance_px: NDArray[np.float64]
) -> float:
    """Balanced; a column of neither domain is wrong on both sides."""
    smaller, larger = distance_px > CLEAR_PX, distance_px < -CLEAR_PX
    return float((is_smaller[smaller].mean() + is_larger[larger].mean()) / 2)


def drawn_rows() -> str:
    """Three crystals, turned by 20 degrees in 30 % of the field, 4 counts a pixel."""
    lines = []
    for crystal in ("hexagonal", "square", "oblique"):
        seen = []
        for seed in SEEDS:
            drawn = twin(crystal, seed=seed)

            def distance_px(
                places: NDArray[np.float64], field: NDArray[np.float64] = drawn.distance_px
            ) -> NDArray[np.float64]:
                at = np.round(places).astype(int)
                return np.asarray(field[at[:, 0], at[:, 1]])

            seen.append(measure(drawn.frame, distance_px))
        lines.append(row(f"drawn, {crystal}, 512 x 512", seen))
    return "".join(lines)


def zro2_row() -> str:
    """The real twin, against the line drawn through it by hand."""
    import tifffile

    frame = np.ascontiguousarray(tifffile.imread(ZRO2), np.float32)

    def distance_px(places: NDArray[np.float64]) -> NDArray[np.float64]:
        y, x = places.T / 1024
        return np.asarray((-5.652 * y + 6.363 * x - 2.461) / np.hypot(5.652, 6.363) * 1024)

    return row("real, ZrO2, 1024 x 1024", [measure(frame, distance_px)])


def row(name: str, seen: Sequence[Measured]) -> str:
    """One row of the table."""

    def over(values: list[float]) -> str:
        mean = f"{np.mean(values):.3f}"
        return mean if len(values) == 1 else f"{mean} ({min(values):.3f}-{max(values):.3f})"

    cells = (
        name,
        over([one.default for one in seen]),
        f"{min(one.default_ms for one in seen):.0f}",
        over([one.of_smaller for one in seen]),
        over([one.of_larger for one in seen]),
        f"{min(one.published_ms for one in seen):.0f}",
    )
    made = f"| {' | '.join(cells)} |\n"
    sys.stdout.write(made)
    return made


def main() -> None:
    """Measure, print, and put the table into its section of the page."""
    made = HEAD + drawn_rows() + (zro2_row() if ZRO2.is_file() else "")
    page = PAGE.read_text(encoding="utf-8")
    before, _, old = page.partition(HEAD.partition("\n")[0])
    later = old.partition("\n\n")[2]
    PAGE.write_text(before + made + (f"\n{later}" if later else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
