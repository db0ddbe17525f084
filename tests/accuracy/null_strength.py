"""Measures how often a frame without a lattice looks like one, and prints a table.

    python tests/accuracy/null_strength.py [FRAMES OF EACH LAW]

The threshold is `NULL_STRENGTH` in latticewatch.detectors.lattice; the laws are in
tests/support/empty_frames.py.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from latticewatch.detectors.lattice import NULL_STRENGTH, search_lattice

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.empty_frames import DRAWN, MEASURED, empty_frames

LEVELS = (1.0, 2.0, 3.0, NULL_STRENGTH)


def main() -> None:
    """Print shares of frames beyond a few strengths, law by law."""
    n_each = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    sys.stdout.write("| frames | number | largest | " + " | ".join(f"> {x}" for x in LEVELS))
    sys.stdout.write(" | lattices |\n|" + "---|" * (4 + len(LEVELS)) + "\n")
    for title, laws in (("with noise", MEASURED), ("drawn without noise", DRAWN)):
        strengths: dict[str, list[float]] = defaultdict(list)
        found: dict[str, int] = defaultdict(int)
        for name, frame in empty_frames(laws, n_each):
            search = search_lattice(frame)
            strengths[name].append(search.strength)
            found[name] += search.lattice is not None
        for name, values in strengths.items():
            _row(name, values, found[name])
        _row(
            f"all {title}",
            [v for values in strengths.values() for v in values],
            sum(found.values()),
        )


def _row(name: str, strengths: list[float], n_found: int) -> None:
    values = np.array(strengths)
    shares = " | ".join(f"{np.mean(values > level):.4f}" for level in LEVELS)
    sys.stdout.write(f"| {name} | {len(values)} | {values.max():.1f} | {shares} | {n_found} |\n")


if __name__ == "__main__":
    main()
