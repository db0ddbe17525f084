"""Trains the networks of one fit: two that judge each other's half, and the one that is kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.checked import checked_export, refuse_collapsed
from latticewatch.detectors.vae.crossing import Judged, cross_judged, ordinary, statistics_of
from latticewatch.detectors.vae.damage import local_damage
from latticewatch.detectors.vae.null import FEWEST_VALUES
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.reference import LOWER, UPPER, ReferenceSet
from latticewatch.detectors.vae.shape import NetworkShape, Step, Trained

Report = Callable[[int, int, float, float, float], None]
"""Takes epoch, epochs, loss, validation loss, seconds left."""

_FEWEST_OF_HALF = 60


class Teacher:
    """Trains networks of one fit on parts of its reference.

    Attributes
    ----------
    held_out : (M,)
        Rows of the windows that the last training did not learn from, but stopped by.
    """

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
        self._each_s = 0.0  # an epoch of this training, or of the last one
        self.held_out = np.empty(0, np.intp)

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
        return checked_export(trained, self._known.compared[:64])[0]

    def train(self, chosen: NDArray[np.bool_], name: str) -> Trained:
        """Train on the chosen windows (N,); a part of them says when to stop."""
        from latticewatch.detectors.vae.training import Recipe, TrainingSet, jitter, train

        settings = self._settings
        rng = np.random.default_rng(settings.seed)
        rows = rng.permutation(np.flatnonzero(chosen))[: settings.most_fit_sites]
        n_out = max(1, round(settings.held_out * len(rows)))
        self.held_out, learned = rows[:n_out], rows[n_out:]
        repeats = max(1, round(settings.per_epoch / max(len(learned), 1)))
        stack = self._known.compared
        spoil = local_damage(settings.damage) if settings.damage else None
        changes = f"gain {settings.gain}, noise {settings.noise}, damage {settings.damage}"
        given = TrainingSet(stack[np.tile(learned, repeats)], stack[self.held_out], spoil, changes)
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
        # One that draws the same whatever it is shown calibrates nothing, either.
        refuse_collapsed(trained)
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
        if left:
            self._each_s = step.seconds_left / left
        self._progress(
            self._n_done * step.n_epochs + step.epoch,
            n_epochs,
            step.loss,
            step.held_out_loss,
            step.seconds_left + self._each_s * later * step.n_epochs,
        )
