"""Which pipeline judges a recording: who looks, and with a model from where."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from latticewatch.adapters.recorded import Recording
from latticewatch.daemon.choosing import DETECTORS
from latticewatch.daemon.choosing import chosen_detectors as chosen_detectors
from latticewatch.daemon.choosing import with_detectors as with_detectors
from latticewatch.daemon.config import Settings, load_settings
from latticewatch.daemon.config_material import material_of
from latticewatch.daemon.exchange import pipeline_settings
from latticewatch.daemon.fitting import FitRefusedError, FitReport, Reference, reference_of
from latticewatch.daemon.models import (
    MODEL_SUFFIX,
    ModelSet,
    domain_looks,
    load_patterson,
    require_detector,
    vae_in_force,
)
from latticewatch.daemon.pipeline import Pipeline
from latticewatch.daemon.ports import SystemClock

SOURCE = "analyze"
MOST_DEFECTS = 1024  # the protocol's limit: a file has room, unlike a message


def offline_settings() -> Settings:
    """Take the daemon's defaults and environment, with room for every defect and time for all."""
    settings = load_settings()
    always = settings.detectors.domains.model_copy(update={"always": True})
    in_turn = settings.detectors.vae.model_copy(update={"late": False})
    return settings.model_copy(
        update={
            "source": settings.source.model_copy(update={"name": SOURCE}),
            "detectors": settings.detectors.model_copy(update={"domains": always, "vae": in_turn}),
            "events": settings.events.model_copy(update={"max_defects": MOST_DEFECTS}),
        }
    )


def with_material(settings: Settings, text: str) -> Settings:
    """Take a material as the command line names it; raises as `material_of`."""
    return settings.model_copy(update={"material": material_of(text)})


def with_model(settings: Settings, model: Path) -> Settings:
    """Take a model file in place of the one that the settings name."""
    patterson = settings.detectors.patterson.model_copy(update={"model": str(model)})
    detectors = settings.detectors.model_copy(update={"patterson": patterson})
    return settings.model_copy(update={"detectors": detectors})


def make_pipeline(settings: Settings, *, artifact: str | None = None) -> Pipeline:
    """Build the daemon's pipeline, without the daemon.

    Parameters
    ----------
    settings
        As the daemon's.
    artifact
        What the events call the model; None calls it as the settings do.

    Raises
    ------
    ModelError
        A model is missing or refused.
    """
    require_detector(settings.detectors)
    patterson = None
    if settings.detectors.patterson.enabled:
        patterson = load_patterson(settings.detectors.patterson.model)
        if artifact is not None:
            patterson = dataclasses.replace(patterson, artifact=artifact)
    return Pipeline(
        models=ModelSet(
            patterson,
            settings.detectors.reference_cell.enabled,
            domain_looks(settings.detectors.domains),
            vae_in_force(settings.detectors.vae),
        ),
        settings=pipeline_settings(settings),
        clock=SystemClock(),
    )


class Fitter(Protocol):
    """Whatever fits a model to frames."""

    def fit(self, reference: Reference, *, out: Path) -> FitReport:
        """Write a model file, or raise `FitRefusedError`."""
        ...


@dataclass(frozen=True, slots=True)
class FitOnItself:
    """Makes the pipeline of a recording with a model fitted on the recording itself."""

    fitter: Fitter
    folder: Path
    settings: Settings

    def __call__(self, recording: Recording) -> Pipeline:
        """Fit, say what the fit warned of, and build."""
        model = self.folder / f"model{MODEL_SUFFIX}"
        try:
            report = self.fitter.fit(reference_of([recording]), out=model)
        except FitRefusedError as refusal:
            if not self.settings.detectors.reference_cell.enabled:
                raise
            sys.stderr.write(f"{refusal}; patterson does not look, others do\n")
            others = [
                name
                for name in DETECTORS
                if name != "patterson" and getattr(self.settings.detectors, name).enabled
            ]
            return make_pipeline(with_detectors(self.settings, others))
        for warning in report.warnings:
            sys.stderr.write(f"{recording.path}: {warning}\n")
        # The file is gone after the run, and its folder has another name in each: say what it was.
        return make_pipeline(with_model(self.settings, model), artifact=f"fitted:{recording.name}")
