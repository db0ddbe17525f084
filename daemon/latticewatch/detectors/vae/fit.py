"""Fit an autoencoder on reference frames without labels: the crowd is normal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError as FitError
from latticewatch.detectors.vae.crossing import Judged, cross_judged, ordinary, statistics_of
from latticewatch.detectors.vae.model import Provenance, VaeModel
from latticewatch.detectors.vae.null import FEWEST_VALUES, NullLaw, fit_null, p_values
from latticewatch.detectors.vae.parameters import (
    LEAST_KL_NATS,
    MOST_UNEXPLAINED,
    VaeParameters,
)
from latticewatch.detectors.vae.reference import LOWER, UPPER, ReferenceSet, look_at
from latticewatch.detectors.vae.session import Redrawer
from latticewatch.detectors.vae.shape import NetworkShape, Step, Trained
from latticewatch.detectors.vae.windows import Stack

Report = Callable[[int, int, float, float, float], None]
"""Takes epoch, epochs, loss, validation loss, seconds left."""

_PARITY = 1e-5  # onnxruntime against torch, over the largest number drawn; measured below 1e-6
_FEWEST_OF_HALF = 60
# Where too few sites are left to judge: measured on three simulated crystals and one real one.
_USUAL_WIDTH = 1.3
_USUAL_COUNTED = 2.5
_USUAL_TESTS = 1.4
_TEST_LEVELS = (0.02, 0.05, 0.1)
# Dose halved or doubled moves the logarithm of the energy by 0.7 at most: such frames are judged.
_LEAST_SCORE_SPREAD = 0.3
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
    if settings.mode != "default":
        raise FitError(f"mode {settings.mode!r} is fitted on windows, not on frames of a lattice")
    notes: list[str] = []
    _require_torch()
    known = look_at(frames, settings, notes, labels)
    teacher = _Teacher(known, settings, progress, checkpoint)
    judged = teacher.judge_halves(notes)
    kept = ordinary(known, judged, settings)
    trained = teacher.train(kept, "all")
    _refuse_collapsed(trained)
    network, parity = _exported(trained, known.compared)
    nulls = _nulls(known, judged, notes)
    model = _model(known, trained, network, nulls, settings)
    model = replace(model, n_tests=_n_tests(known, judged, nulls))
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
    return replace(model, provenance=_provenance(known, judged, report, settings)), report


def _require_torch() -> None:
    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise FitError(
            f"{error.name} is not installed, which training needs: install the extra `train` "
            "(pip install 'latticewatch[train]'), or fit without it by --scorer pca"
        ) from error


class _Teacher:
    """Trains networks of one fit on parts of its reference."""

    def __init__(
        self,
        known: ReferenceSet,
        settings: VaeParameters,
        progress: Report | None,
        checkpoint: Path | None,
    ) -> None:
        self._known, self._settings = known, settings
        self._progress, self._checkpoint = progress, checkpoint
        self._shape = NetworkShape(
            window_px=settings.window_px,
            encoder=settings.encoder,
            latents=settings.latents,
            decoder=settings.decoder,
            drawn_px=settings.drawn_px,
            output="plain",
        )
        sizes = [int(np.count_nonzero(known.half == one)) for one in (LOWER, UPPER)]
        self._crosses = min(sizes) >= _FEWEST_OF_HALF and sum(sizes) >= FEWEST_VALUES
        self._n_trainings = 3 if self._crosses else 1
        self._n_done = 0

    def judge_halves(self, notes: list[str]) -> Judged:
        """Statistics of every site, by a network that never saw its surroundings where possible."""
        known = self._known
        rough = statistics_of(known, known.compared[:, known.windows.middle, known.windows.middle])
        if not self._crosses:
            notes.append(
                f"{len(known.compared)} sites are too few to calibrate on some and learn from "
                "others: p-values are those of usual crystals"
            )
            return Judged(rough, np.zeros(len(rough), bool))
        kept = ordinary(known, Judged(rough, np.ones(len(rough), bool)), self._settings)
        networks = [
            self._exported_of(self.train(kept & (known.half == half), name))
            for half, name in ((LOWER, "lower"), (UPPER, "upper"))
        ]
        return cross_judged(known, networks, rough)

    def _exported_of(self, trained: Trained) -> bytes:
        return _exported(trained, self._known.compared[:1])[0]

    def train(self, chosen: NDArray[np.bool_], name: str) -> Trained:
        """Train on the chosen windows (N,); a part of them says when to stop."""
        from latticewatch.detectors.vae.network import Recipe, TrainingSet, jitter, train

        settings = self._settings
        rng = np.random.default_rng(settings.seed)
        rows = rng.permutation(np.flatnonzero(chosen))[: settings.most_fit_sites]
        n_out = max(1, round(settings.held_out * len(rows)))
        learned = rows[n_out:]
        repeats = max(1, round(settings.per_epoch / max(len(learned), 1)))
        stack = self._known.compared
        given = TrainingSet(stack[np.tile(learned, repeats)], stack[rows[:n_out]])
        recipe = Recipe(
            epochs=settings.epochs,
            batch=settings.batch,
            rate=settings.rate,
            loss="gauss",
            noise_sd=settings.noise_sd,
            beta=settings.beta,
            patience=settings.patience,
            seed=settings.seed,
        )
        blur = self._known.rule.smooth_sigma_px / self._known.windows.step_px
        trained: Trained = train(
            given,
            self._shape,
            recipe,
            augment=jitter(settings.gain, settings.noise, blur),
            progress=self._tell,
            checkpoint=self._file(name),
        )
        self._n_done += 1
        return trained

    def _file(self, name: str) -> Path | None:
        """Each training has a file of its own beside the one that was asked for."""
        path = self._checkpoint
        return None if path is None else path.with_name(f"{path.name}.{name}")

    def _tell(self, step: Step) -> None:
        if self._progress is None:
            return
        n_epochs = self._n_trainings * step.n_epochs
        later = self._n_trainings - self._n_done - 1
        left = step.n_epochs - step.epoch
        each = step.seconds_left / left if left else 0.0
        self._progress(
            self._n_done * step.n_epochs + step.epoch,
            n_epochs,
            step.loss,
            step.held_out_loss,
            step.seconds_left + each * later * step.n_epochs,
        )


def _refuse_collapsed(trained: Trained) -> None:
    """Refuse a training that draws one window whatever it is shown.

    Such a loss is as flat as that of a training that has ended well (methods/vae.md 6.9).
    """
    if trained.kl >= LEAST_KL_NATS and trained.unexplained < MOST_UNEXPLAINED:
        return
    raise FitError(
        f"the training collapsed: divergence {trained.kl:.2g} nats (at least {LEAST_KL_NATS:g}), "
        f"{trained.unexplained:.0%} of what could be learned was not (below "
        f"{MOST_UNEXPLAINED:.0%}): give more frames, more epochs, or another seed"
    )


def _exported(trained: Trained, windows: Stack) -> tuple[bytes, float]:
    """The network as ONNX, and its largest difference from torch."""
    from latticewatch.detectors.vae.export import to_onnx
    from latticewatch.detectors.vae.network import redraw

    network = to_onnx(trained.shape, trained.weights)
    some = np.ascontiguousarray(windows[:64])
    session = Redrawer(network, trained.shape.window_px, trained.shape.drawn_px, "the fitted model")
    expected = redraw(trained, some)
    worst = float(np.abs(session.redraw(some) - expected).max())
    parity = worst / max(1.0, float(np.abs(expected).max()))
    if not parity <= _PARITY:
        raise FitError(f"the exported network draws otherwise than torch, by {parity:.1e}")
    return network, parity


def _nulls(
    known: ReferenceSet, judged: Judged, notes: list[str]
) -> tuple[NullLaw, NullLaw]:
    """How both statistics scatter at sites that were not learned from, defects left out."""
    usual = NullLaw(_USUAL_WIDTH, _USUAL_COUNTED, judged.n_held_out)
    if not judged.n_held_out:
        return usual, usual
    laws = []
    for each in judged.calibration(known):
        try:
            laws.append(fit_null(each))
        except ValueError as error:
            notes.append(f"{error}: p-values are those of usual crystals")
            laws.append(usual)
    return laws[0], laws[1]


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


def _model(
    known: ReferenceSet,
    trained: Trained,
    network: bytes,
    nulls: tuple[NullLaw, NullLaw],
    settings: VaeParameters,
) -> VaeModel:
    windows, probe = known.windows, known.compared[:1]
    session = Redrawer(network, windows.size, windows.drawn_px, "the fitted model")
    middles = []
    for frame in range(known.n_frames):
        own = known.compared[known.frame == frame]
        drawn = [session.redraw(own[k : k + 256]).copy() for k in range(0, len(own), 256)]
        left = own[:, windows.middle, windows.middle] - np.concatenate(drawn)
        energy = np.median(statistics_of(known, left)[:, 1])
        middles.append(float(np.log(max(float(energy), _TINY))))
    return VaeModel(
        rule=known.rule,
        windows=windows,
        network=network,
        nulls=nulls,
        n_tests=_USUAL_TESTS,
        score_median=float(np.median(middles)),
        score_spread=max(_LEAST_SCORE_SPREAD, float(np.std(middles))),
        probe_window=probe[0].copy(),
        probe_residual=(probe[:, windows.middle, windows.middle] - session.redraw(probe))[0],
        mode=settings.mode,
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
            folds.append(
                (learned.digest, learned.first, learned.last, asked.first, asked.last)
            )
    return Provenance(training, tuple(half.digest for half, _ in known.halves), tuple(folds))
