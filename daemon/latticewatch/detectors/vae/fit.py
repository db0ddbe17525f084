"""Fit an autoencoder on reference frames without labels: the crowd is normal."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError as FitError
from latticewatch.detectors.vae.checked import checked_export
from latticewatch.detectors.vae.crossing import Judged, ordinary, statistics_of
from latticewatch.detectors.vae.evidence import evidence_of
from latticewatch.detectors.vae.model import STATISTICS, VaeModel
from latticewatch.detectors.vae.null import FEWEST_VALUES, USUAL_LAW, NullLaw, fit_null, p_values
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.pca import DensePca
from latticewatch.detectors.vae.provenance import Provenance
from latticewatch.detectors.vae.reference import ReferenceSet, look_at
from latticewatch.detectors.vae.session import BATCH, Redrawer
from latticewatch.detectors.vae.stale import FLAGGED_P
from latticewatch.detectors.vae.teaching import Report, Teacher
from latticewatch.detectors.vae.twin_fit import fit_twin

# A width that nothing is known of is the usual one, and that knowledge is worth so many values.
_WORTH_VALUES = 500
_USUAL_TESTS = 1.4
_TEST_LEVELS = (0.02, 0.05, 0.1)
# Dose halved or doubled moves the logarithm of the score by 0.35 at most: such frames are judged.
_LEAST_SCORE_SPREAD = 0.15
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit found out, for people.

    Attributes
    ----------
    n_frames, n_sites, n_trimmed
        Reference frames and sites used; the strangest sites that the last training left out.
    n_calibration
        Sites that were judged by a network that did not learn from their half of the frames.
    epochs, best_epoch
        Of the last training.
    loss, held_out_loss, kl, unexplained
        Of its best epoch, nats per window; divergence; share of what could be learned that was not.
    onnx_parity
        Largest difference of the exported network from torch, over the largest number drawn.
    widths
        Of both null laws: largest residual, local energy.
    warnings
        One line each.
    """

    n_frames: int
    n_sites: int
    n_trimmed: int
    n_calibration: int
    epochs: int
    best_epoch: int
    loss: float
    held_out_loss: float
    kl: float
    unexplained: float
    onnx_parity: float
    widths: tuple[float, float]
    warnings: tuple[str, ...] = field(default=())


def fit(
    frames: Sequence[NDArray[np.float32]],
    parameters: VaeParameters | None = None,
    labels: Sequence[str] | None = None,
    *,
    progress: Report | None = None,
    checkpoint: Path | None = None,
) -> tuple[VaeModel, FitReport]:
    """Fit an autoencoder.

    Parameters
    ----------
    frames
        One or more reference frames (H, W) of the same crystal at the same scan settings; finite.
        A few per cent of defects do no harm.
    parameters
        Settings of the fit; the defaults if None.
    labels
        What messages call each frame; None for its number.
    progress
        Told after each epoch of up to three trainings: epochs done and epochs at most of all of
        them, loss, loss on windows that are not learned from, seconds left.
    checkpoint
        A file that is kept up to date; a fit that finds it goes on where the last one stopped, and
        ends at the same model.

    Raises
    ------
    FitError
        No frame shows a lattice, they show different ones, they hold too few sites, the training
        learned nothing, or torch is not installed.
    """
    settings = parameters or VaeParameters()
    notes: list[str] = []
    require_torch()
    known = look_at(frames, settings, notes, labels)
    pca = _twin_of(frames, known, notes)
    teacher = Teacher(known, settings, progress, checkpoint)
    judged = teacher.judge_halves(notes)
    kept = ordinary(known, judged, settings)
    trained = teacher.train(kept, "all")
    network, parity = checked_export(trained, known.compared[:64])
    plain = _nulls(known, judged, notes)
    nulls = (_shrunk(plain[0]), _shrunk(plain[1]))
    model = _model(known, network, nulls, teacher.held_out)
    n_tests = _n_tests(known, judged, plain)
    usual_flagged = _usual_flagged(known, judged, nulls, n_tests)
    model = replace(model, n_tests=n_tests, usual_flagged=usual_flagged)
    best = trained.best_epoch - 1
    report = FitReport(
        n_frames=known.n_frames,
        n_sites=len(known.compared),
        n_trimmed=int(len(known.compared) - np.count_nonzero(kept)),
        n_calibration=judged.n_held_out,
        epochs=len(trained.history),
        best_epoch=trained.best_epoch,
        loss=float(trained.history[best, 0]),
        held_out_loss=trained.held_out_loss,
        kl=trained.kl,
        unexplained=trained.unexplained,
        onnx_parity=parity,
        widths=(nulls[0].width, nulls[1].width),
        warnings=tuple(notes),
    )
    provenance = _provenance(known, judged, report, settings)
    return replace(model, provenance=provenance, pca=pca), report


def _twin_of(
    frames: Sequence[NDArray[np.float32]], known: ReferenceSet, notes: list[str]
) -> DensePca | None:
    """Fit the linear twin; without one where the frames hold too little of the crystal for it."""
    try:
        return fit_twin(frames, known.rule)
    except FitError as error:
        notes.append(f"{error}; the network looks by itself")
        return None


def require_torch() -> None:
    """Refuse to train where the extra is not installed; one thread for all that follows."""
    try:
        import onnx  # noqa: F401
        import torch
    except ImportError as error:
        raise FitError(
            f"{error.name} is not installed, which training needs: install the extra `train` "
            "(pip install 'latticewatch[train]'), or fit without it by --scorer pca"
        ) from error
    # Layers this small gain nothing from a second thread, and beside a busy core lose ten times
    # over; and sums in one order are the same on every machine.
    torch.set_num_threads(1)


def _nulls(known: ReferenceSet, judged: Judged, notes: list[str]) -> tuple[NullLaw, NullLaw]:
    """How both statistics scatter at sites that were not learned from, defects left out."""
    if not judged.n_held_out:
        return USUAL_LAW, USUAL_LAW
    laws = []
    for each in judged.calibration(known):
        try:
            laws.append(fit_null(each))
        except ValueError as error:
            notes.append(f"{error}: p-values are those of usual crystals")
            laws.append(USUAL_LAW)
    return laws[0], laws[1]


def _shrunk(law: NullLaw) -> NullLaw:
    """Draw a width towards the usual one, the more the fewer values it rests on."""
    total = law.n_values + _WORTH_VALUES
    width = (law.n_values * law.width + _WORTH_VALUES * USUAL_LAW.width) / total
    return replace(law, width=width)


def _n_tests(known: ReferenceSet, judged: Judged, nulls: tuple[NullLaw, NullLaw]) -> float:
    """How many independent tests both statistics are worth: how much more often one is small."""
    if not judged.n_held_out:
        return _USUAL_TESTS
    pairs = zip(*judged.calibration(known), strict=True)
    smaller = [
        np.minimum(p_values(one, nulls[0])[0], p_values(other, nulls[1])[0]) for one, other in pairs
    ]
    values = np.concatenate(smaller)
    values = values[np.isfinite(values)]
    if len(values) < FEWEST_VALUES:
        return _USUAL_TESTS
    worth = [float((values <= level).mean()) / level for level in _TEST_LEVELS]
    return float(np.clip(np.median(worth), 1.0, 2.0))


def _usual_flagged(
    known: ReferenceSet, judged: Judged, nulls: tuple[NullLaw, NullLaw], n_tests: float
) -> float:
    """Share of the reference sites that are as strange as a flagged one, defects included."""
    flagged, n_scored = 0, 0
    for frame in range(known.n_frames):
        part = (known.frame == frame) & judged.held_out
        statistics = judged.statistics[part].T
        p_value = evidence_of(STATISTICS, statistics, nulls, n_tests).p_value
        flagged += int(np.count_nonzero(p_value < FLAGGED_P))
        n_scored += int(np.count_nonzero(np.isfinite(p_value)))
    return flagged / n_scored if n_scored else 0.0


def _model(
    known: ReferenceSet,
    network: bytes,
    nulls: tuple[NullLaw, NullLaw],
    held_out: NDArray[np.intp],
) -> VaeModel:
    windows, probe = known.windows, known.compared[:1]
    session = Redrawer(network, windows.size, windows.drawn_px, "the fitted model")
    drawn = [
        session.redraw(known.compared[k : k + BATCH]).copy()
        for k in range(0, len(known.compared), BATCH)
    ]
    left = known.compared[:, windows.middle, windows.middle] - np.concatenate(drawn)
    energy = np.log(np.maximum(statistics_of(known, left)[:, 1], _TINY))
    middles = [np.median(energy[known.frame == frame]) for frame in range(known.n_frames)]
    return VaeModel(
        rule=known.rule,
        windows=windows,
        network=network,
        nulls=nulls,
        n_tests=_USUAL_TESTS,
        # What was learned from is redrawn better than any new frame.
        score_median=float(np.median(energy[held_out])),
        score_spread=max(_LEAST_SCORE_SPREAD, float(np.std(middles))),
        usual_flagged=0.0,
        probe_window=probe[0].copy(),
        probe_residual=(probe[:, windows.middle, windows.middle] - session.redraw(probe))[0],
    )


def _provenance(
    known: ReferenceSet, judged: Judged, report: FitReport, settings: VaeParameters
) -> Provenance:
    training: dict[str, Any] = {  # Any: JSON
        "loss": report.loss,
        "held_out_loss": report.held_out_loss,
        "kl": report.kl,
        "unexplained": report.unexplained,
        "epochs": report.epochs,
        "seed": settings.seed,
        "onnx_parity": report.onnx_parity,
    }
    folds = []
    for halves in known.halves if judged.n_held_out else ():
        for learned, asked in (halves, halves[::-1]):
            folds.append((learned.digest, learned.first, learned.last, asked.first, asked.last))
    return Provenance(training, tuple(half.digest for half, _ in known.halves), tuple(folds))
