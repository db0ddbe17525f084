"""Measures scheme one on the doped honeycomb, on bilayer MoTe2 and on perfect crystals.

    python tests/accuracy/patterson.py

Prints the tables and puts them into README.md. Needs nothing but the project; the rows of MoTe2
come from images that lie beside the checkout, and are left out where they do not.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from latticewatch.detectors.patterson.fit import fit  # noqa: E402 - the support of the tests first
from latticewatch.detectors.patterson.parameters import PattersonParameters  # noqa: E402
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings  # noqa: E402
from support.honeycomb import honeycomb, perfect_honeycomb  # noqa: E402
from support.judging import Judged, judge, judge_honeycomb  # noqa: E402

PAGE = Path(__file__).with_name("README.md")
TITLE = "## Scheme one by itself\n"
SIMULATED = ROOT.parent / "shared" / "data" / "simulated"
SEEDS = (1, 2, 3, 4)
REFERENCE_SEED = 100
HONEYCOMB_HEAD = (
    "| image | features | fitted on | components | AUC | AUC, machine | absent | displaced "
    "| false | absent, machine | displaced, machine | false, machine | BA, machine |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)
MOTE2_HEAD = (
    "| image | features | sites, bad | AUC | balanced accuracy | precision | found | false |\n"
    "|---|---|---|---|---|---|---|---|\n"
)
PERFECT_HEAD = (
    "| crystal, dose | reference | decision < 0 | the worst frame | p < 0.002 | the worst frame |\n"
    "|---|---|---|---|---|---|\n"
)
Image = NDArray[np.float32]


def line(cells: Iterable[str]) -> str:
    """One row of a table."""
    made = f"| {' | '.join(cells)} |\n"
    sys.stdout.write(made)
    return made


def spread(values: list[float], digits: int = 4) -> str:
    """Mean, and from the least to the most."""
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def honeycomb_rows() -> str:
    """Three pictures of the honeycomb, two kinds of features, three ways to fit."""
    lines = []
    for name, dopants, image in (
        ("no dopant", 0.0, "frame"),
        ("9 % W, raw", 0.09, "frame"),
        ("9 % W, columns redrawn", 0.09, "columns"),
    ):
        clean = perfect_honeycomb(REFERENCE_SEED, dopants=dopants)
        for features in ("patterson", "pixels"):
            ours = PattersonParameters(features=features, image=image)  # type: ignore[arg-type]
            lines.append(honeycomb_row(name, "clean frame", ours, dopants, [clean]))
            lines.append(honeycomb_row(name, "itself, trimmed", ours, dopants, None))
        if image == "frame":
            published = PattersonParameters.as_published()
            lines.append(honeycomb_row(name, "itself, as published", published, dopants, None))
    return HONEYCOMB_HEAD + "".join(lines)


def honeycomb_row(
    name: str,
    fitted_on: str,
    parameters: PattersonParameters,
    dopants: float,
    reference: list[Image] | None,
) -> str:
    """One way to fit, over all seeds; without a reference each frame is its own."""
    seen: list[Judged] = []
    components: list[float] = []
    for seed in SEEDS:
        drawn = honeycomb(seed, dopants=dopants)
        model, report = fit(reference or [drawn.counts], parameters)
        components.append(report.n_components)
        seen.append(judge_honeycomb(model, drawn, lattice=parameters.site_source == "lattice"))

    def over(value: Callable[[Judged], float], digits: int = 3) -> str:
        return spread([value(one) for one in seen], digits)

    return line(
        (
            name,
            parameters.features,
            fitted_on,
            f"{np.mean(components):.0f}",
            over(lambda one: one.auc, 4),
            over(lambda one: one.auc_machine, 4),
            over(lambda one: one.share_flagged(2)),
            over(lambda one: one.share_flagged(1)),
            over(lambda one: one.share_flagged(0)),
            over(lambda one: one.share_flagged(2, by_machine=True)),
            over(lambda one: one.share_flagged(1, by_machine=True)),
            over(lambda one: one.share_flagged(0, by_machine=True)),
            over(lambda one: one.balanced_accuracy(by_machine=True)),
        )
    )


def mote2_rows() -> str:
    """Bilayer MoTe2, each image its own reference; vacancies of the mixture count as flagged."""
    import tifffile

    truth = json.loads((SIMULATED / "mote2_bilayer_A_truth.json").read_text(encoding="utf-8"))
    period_px = truth["a_nm"] / truth["pixel_size_nm"]
    reach_px = 1.35 * period_px / np.sqrt(3)
    is_bad = np.array(truth["sites"]["label"]) != "ok"
    lines = []
    for entry in truth["images"]:
        if "sites_y" not in entry:
            continue
        image = tifffile.imread(SIMULATED / entry["file"]).astype(np.float32)
        columns = np.stack([entry["sites_y"], entry["sites_x"]], axis=1)[is_bad]
        for features in ("patterson", "pixels"):
            parameters = PattersonParameters(features=features, image="columns")
            model, _ = fit([image], parameters)
            one = judge(model, image, bad_of=near(columns, reach_px))
            places = one.view.places_yx[one.scores.scored]
            flagged = one.p_value < 0.01
            if one.columns is not None:
                dark = one.columns.places_yx[one.columns.is_vacancy]
                flagged |= near(dark, reach_px)(places) > 0
            bad = one.bad > 0
            accuracy = (flagged[bad].mean() + (~flagged)[~bad].mean()) / 2
            lines.append(
                line(
                    (
                        entry["file"].removesuffix(".tif"),
                        features,
                        f"{len(bad)}, {bad.sum()}",
                        f"{one.auc:.3f}",
                        f"{accuracy:.3f}",
                        f"{(flagged & bad).sum() / max(flagged.sum(), 1):.2f}",
                        f"{(flagged & bad).sum()}",
                        f"{(flagged & ~bad).sum()}",
                    )
                )
            )
    return MOTE2_HEAD + "".join(lines)


def near(
    columns: NDArray[np.float64], reach_px: float
) -> Callable[[NDArray[np.float64]], NDArray[np.int64]]:
    """Tell which places are within reach of any of these columns."""

    def is_near(places: NDArray[np.float64]) -> NDArray[np.int64]:
        if not len(columns):
            return np.zeros(len(places), np.int64)
        gap = np.linalg.norm(places[:, None] - columns[None], axis=2).min(axis=1)
        return np.asarray(gap < reach_px, np.int64)

    return is_near


def perfect_rows() -> str:
    """Frames without defects: three crystals, three doses, one or four reference frames."""
    lines = []
    for crystal in ("mos2", "srtio3", "zincblende"):
        usual = MicroscopeSettings(crystal=crystal).dose
        for dose in (0.2, 1.0, 4.0):
            for n_reference in (1, 4):
                frames = [
                    perfect(crystal, seed, dose * usual)
                    for seed in (*range(200, 200 + n_reference), *range(12))
                ]
                model, _ = fit(frames[:n_reference], PattersonParameters())
                seen = [judge(model, frame) for frame in frames[n_reference:]]
                negative = [one.share_flagged(0, by_machine=True) for one in seen]
                small = [one.share_flagged(0) for one in seen]
                lines.append(
                    line(
                        (
                            f"{crystal}, x{dose:g}",
                            f"{n_reference}",
                            f"{np.mean(negative):.4f}",
                            f"{max(negative):.3f}",
                            f"{np.mean(small):.4f}",
                            f"{max(small):.4f}",
                        )
                    )
                )
    return PERFECT_HEAD + "".join(lines)


def perfect(crystal: str, seed: int, dose: float) -> Image:
    """A frame without defects."""
    settings = MicroscopeSettings(crystal=crystal, seed=seed, perfect=True, dose_e_per_ang2=dose)
    return Microscope(settings).frame(0)[0].astype(np.float32)


def main() -> None:
    """Measure, print, and put the tables into their section of the page."""
    tables = [honeycomb_rows()]
    tables.append(mote2_rows() if SIMULATED.is_dir() else MOTE2_HEAD)
    tables.append(perfect_rows())
    page = PAGE.read_text(encoding="utf-8")
    for head, made in zip((HONEYCOMB_HEAD, MOTE2_HEAD, PERFECT_HEAD), tables, strict=True):
        before, _, old = page.partition(head.partition("\n")[0])
        later = old.partition("\n\n")[2]
        page = before + made + (f"\n{later}" if later else "")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
