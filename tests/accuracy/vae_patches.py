"""Measures the modes of the autoencoder for windows without a lattice, for README.md.

    python tests/accuracy/vae_patches.py [FOLDER]

The windows, tiles and images lie beside the checkout, in ../shared/data, and are not part of the
project. Takes about ten minutes of one thread, most of it for the published network. Trainings of
published networks are kept in the folder, if one is given, and continued from there.
"""

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from latticewatch.detectors.vae.checked import checked_export  # noqa: E402 - as above
from latticewatch.detectors.vae.network import redraw  # noqa: E402
from latticewatch.detectors.vae.patch_fit import (  # noqa: E402
    PublishedFit,
    PublishedFitSettings,
    fit_windows,
)
from latticewatch.detectors.vae.published import PublishedDetector, band_of  # noqa: E402
from latticewatch.detectors.vae.shape import NetworkShape  # noqa: E402
from latticewatch.detectors.vae.stack import prepare, split  # noqa: E402
from latticewatch.detectors.vae.training import Recipe, TrainingSet, train  # noqa: E402
from latticewatch.detectors.vae.unlocked import UnlockedDetector  # noqa: E402
from latticewatch.detectors.vae.unlocked_fit import (  # noqa: E402
    UnlockedFitSettings,
    fit_unlocked,
)
from support.page import put  # noqa: E402
from support.patch_sets import (  # noqa: E402
    DEFECTS,
    STATISTICS,
    Components,
    Scores,
    Windows,
    area_under_curve,
    crops,
    found,
    patch_sets,
    prepared_sets,
)
from support.shared_data import DATA, shared_image  # noqa: E402

RULE_HEAD = (
    "| network, epochs | band of | bulk kept | found | " + " | ".join(DEFECTS) + " |\n"
    "|---|---|---|---|" + "---|" * len(DEFECTS) + "\n"
)
SCORE_HEAD = (
    "| residual of | score | found at 1 %, oracle | AUC | threshold of held-out windows: false "
    "| found | hardest class |\n|---|---|---|---|---|---|---|\n"
)
TILE_HEAD = "| tiles | score | AUC, mean | AUC, least |\n|---|---|---|---|\n"
FRAME_HEAD = "| mode | windows | flagged |\n|---|---|---|\n"
Residual = Callable[[Windows], Windows]
HELD_OUT = 0.2
NETWORKS: dict[Literal["small", "paper"], int] = {"small": 60, "paper": 13}
TILES = {"cdte": (1.0, "real/cdte_faults.tif"), "sto": (1.4, "real/srtio3_df.jpg")}


@lru_cache
def published(network: Literal["small", "paper"]) -> PublishedFit:
    """Fit a published network on the training windows."""
    settings = PublishedFitSettings(network=network, epochs=NETWORKS[network])
    kept = Path(sys.argv[1]) / f"{network}.npz" if len(sys.argv) > 1 else None
    return fit_windows(patch_sets()["train"], settings, checkpoint=kept)


def rule_rows() -> Iterator[str]:
    """The paper's rule, with the band of the bulk that is judged, as published, and another."""
    sets = patch_sets()
    for network, epochs in NETWORKS.items():
        fit = published(network)
        detector = PublishedDetector(fit.network, fit.rule)
        scores = {name: detector.score_windows(windows).scores for name, windows in sets.items()}
        bands = {
            "the bulk judged": band_of(scores["bulk_test"]),
            "held-out windows": (fit.rule.band_mean, fit.rule.band_sd),
        }
        for of, (mean, sd) in bands.items():
            outside = {name: np.abs(some - mean) >= 1.5 * sd for name, some in scores.items()}
            kept = 100.0 * (1.0 - outside["bulk_test"].mean())
            rates = [100.0 * float(outside[name].mean()) for name in DEFECTS]
            told = " | ".join(f"{rate:.1f}" for rate in rates)
            yield (f"| {network}, {epochs} | {of} | {kept:.1f} | {np.mean(rates):.1f} | {told} |\n")


def linear_twenty(learned: Windows, held_out: Windows) -> Residual:
    """Train the smallest network: three convolutions, 20 latents, one dense layer."""
    shape = NetworkShape(64, (4, 8, 16), 20, (), 64, "sigmoid")
    recipe = Recipe(epochs=150, loss="cross_entropy", patience=150)
    trained = train(TrainingSet(learned, held_out), shape, recipe)
    checked_export(trained, held_out[:64])
    return lambda windows: windows - redraw(trained, windows)


def default(damage: float) -> Residual:
    """Train the default, with this strength of the damage that it learns from."""
    fit = fit_unlocked(patch_sets()["train"], UnlockedFitSettings(damage=damage))
    detector = UnlockedDetector(fit.network, fit.rule)
    return detector.residual_of


def score_rows() -> Iterator[str]:
    """Each score with an oracle's threshold, and with that of held-out windows."""
    sets = prepared_sets()
    learned, held_out = (np.asarray(one, np.float32) for one in split(sets["train"], HELD_OUT, 0))
    usual = ("max abs", "local energy", "mean square")
    residuals: dict[str, tuple[Residual, tuple[str, ...]]] = {
        "20 components": (Components(learned, 20).residual, usual),
        "40 components": (Components(learned, 40).residual, (*usual, "kurtosis")),
        "lin20": (linear_twenty(learned, held_out), ("ANM", *usual, "kurtosis")),
        "the default, undamaged": (default(0.0), (*usual, "kurtosis")),
        "the default": (default(0.6), (*usual, "kurtosis")),
    }
    for name, (residual, statistics) in residuals.items():
        left = {key: residual(windows) for key, windows in sets.items() if key != "train"}
        left["held out"] = residual(held_out)
        for statistic in statistics:
            scores = {key: STATISTICS[statistic](some) for key, some in left.items()}
            yield score_row(name, statistic, scores)


def score_row(name: str, statistic: str, scores: dict[str, Scores]) -> str:
    """One line of that table; the quantile of held-out windows is that of 99 %."""
    oracle = np.mean(found(scores, float(np.quantile(scores["bulk_test"], 0.99))))
    area = np.mean([area_under_curve(scores["bulk_test"], scores[one]) for one in DEFECTS])
    threshold = float(np.quantile(scores["held out"], 0.99))
    false = 100.0 * float((scores["bulk_test"] > threshold).mean())
    rates = found(scores, threshold)
    return (
        f"| {name} | {statistic} | {oracle:.1f} | {area:.4f} | {false:.1f} | {np.mean(rates):.1f} "
        f"| {hardest(rates)} |\n"
    )


def hardest(rates: list[float]) -> str:
    """The class of which the least is found, if not all of every class is."""
    least = int(np.argmin(rates))
    return "-" if rates[least] == 100.0 else f"{DEFECTS[least]} {rates[least]:.1f}"


def alarm_rows() -> Iterator[str]:
    """The default as it is: alarms at p < 0.005 by the tail of held-out windows."""
    sets = patch_sets()
    for seed in (0, 1, 2):
        fit = fit_unlocked(sets["train"], UnlockedFitSettings(seed=seed))
        detector = UnlockedDetector(fit.network, fit.rule)
        flagged = {
            name: 100.0 * float(detector.score_windows(windows).is_defect.mean())
            for name, windows in sets.items()
        }
        rates = [flagged[name] for name in DEFECTS]
        yield (
            f"| the default, seed {seed} | its alarm | - | - | {flagged['bulk_test']:.1f} "
            f"| {np.mean(rates):.1f} | {hardest(rates)} |\n"
        )


def tile_rows() -> Iterator[str]:
    """Labelled tiles, with the trivial scores beside the others: never read as generalisation."""
    for name, (sigma_px, picture) in TILES.items():
        with np.load(DATA / f"tiles_{name}" / "tiles.npz", allow_pickle=False) as stored:
            tiles, labels = stored["images"], stored["labels"]
        image = shared_image(picture).astype(np.uint8)
        stack = crops(image, 800, (image.shape[0] // 2, image.shape[0]))
        for score, values in tile_scores(stack, tiles, sigma_px):
            areas = [
                area_under_curve(values[labels == "Bulk"], values[labels == label])
                for label in sorted(set(labels.tolist()) - {"Bulk"})
            ]
            yield f"| {name} | {score} | {np.mean(areas):.4f} | {min(areas):.4f} |\n"


def tile_scores(
    stack: NDArray[np.generic], tiles: NDArray[np.uint8], sigma_px: float
) -> Iterator[tuple[str, Scores]]:
    """Scores of tiles by models of crops of the image that they are from."""
    small = fit_windows(stack, PublishedFitSettings(sigma_px=sigma_px, epochs=30))
    detector = PublishedDetector(small.network, small.rule)
    prepared = prepare(tiles, sigma_px, 0.0)
    yield "published, small, ANM", np.abs(detector.score_windows(tiles).scores)
    fit = fit_unlocked(stack, UnlockedFitSettings(sigma_px=sigma_px))
    default_left = UnlockedDetector(fit.network, fit.rule).residual_of(prepared)
    components = Components(prepare(stack, sigma_px, 0.0), 40).residual(prepared)
    for name, residuals in (("the default", default_left), ("40 components", components)):
        for statistic in ("kurtosis", "max abs", "mean square"):
            yield f"{name}, {statistic}", STATISTICS[statistic](residuals)
    means = tiles.mean(axis=(1, 2))
    yield "trivial: distance of the mean from its median", np.abs(means - np.median(means))
    yield "trivial: standard deviation", tiles.std(axis=(1, 2))


def frame_rows() -> Iterator[str]:
    """The whole real frame, whose windows the training set is cut from in part."""
    stack, image = patch_sets()["train"], shared_image("real/srtio3_df.jpg").astype(np.uint8)
    small = published("small")
    detector = PublishedDetector(small.network, small.rule)
    verdicts = detector.score_frame(image)
    mean, sd = band_of(verdicts.scores)
    yield f"| as published, band of held-out windows | 225 | {verdicts.is_defect.sum()} |\n"
    own = np.abs(verdicts.scores - mean) >= 1.5 * sd
    yield f"| as published, band of the windows judged | 225 | {own.sum()} |\n"
    fit = fit_unlocked(stack)
    alarms = UnlockedDetector(fit.network, fit.rule).score_frame(image).is_defect
    yield f"| the default, p < 0.005 | {len(alarms)} | {alarms.sum()} |\n"


def main() -> None:
    """Run everything, print the tables, and put them into the page."""
    tables: tuple[tuple[str, tuple[Callable[[], Iterator[str]], ...]], ...] = (
        (SCORE_HEAD, (score_rows, alarm_rows)),
        (RULE_HEAD, (rule_rows,)),
        (TILE_HEAD, (tile_rows,)),
        (FRAME_HEAD, (frame_rows,)),
    )
    for head, parts in tables:
        lines = []
        sys.stdout.write(head)
        for part in parts:
            for line in part():
                sys.stdout.write(line)
                sys.stdout.flush()
                lines.append(line)
        put(head, "".join(lines))


if __name__ == "__main__":
    main()
