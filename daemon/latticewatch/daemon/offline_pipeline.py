"""Which pipeline judges a recording: who looks, and with a model from where."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from latticewatch.adapters.recorded import Recording
from latticewatch.daemon.choosing import DETECTORS, POINTS
from latticewatch.daemon.choosing import chosen_detectors as chosen_detectors
from latticewatch.daemon.choosing import with_detectors as with_detectors
from latticewatch.daemon.config import Settings, load_settings
from latticewatch.daemon.config_material import material_of
from latticewatch.daemon.exchange import pipeline_settings
from latticewatch.daemon.fit_progress import FitTeller
from latticewatch.daemon.fitting import (
    FitProgress,
    FitRefusedError,
    FitReport,
)
from latticewatch.daemon.loaded_symmetry import LoadedSymmetry
from latticewatch.daemon.look_vae import LoadedVae
from latticewatch.daemon.models import (
    MODEL_SUFFIX,
    ModelSet,
    detector_of,
    domain_looks,
    load_patterson,
    motifs_in_force,
    require_detector,
    symmetry_in_force,
    vae_in_force,
)
from latticewatch.daemon.pipeline import Pipeline
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.reference_frames import Reference, reference_of

SOURCE = "analyze"
# Those that ask for a model; `FITTED` can make one.
MODELLED = ("patterson", "vae", "symmetry", "motifs")
MOST_DEFECTS = 1024  # the protocol's limit: a file has room, unlike a message


def offline_settings() -> Settings:
    """Take the daemon's defaults and environment, with room for every defect and time for all."""
    settings = load_settings()
    always = settings.detectors.domains.model_copy(update={"always": True})
    in_turn = {
        name: getattr(settings.detectors, name).model_copy(update={"late": False})
        for name in ("vae", "symmetry")
    }
    # Nobody proposes in the background: the same frames give the same events.
    in_turn["motifs"] = settings.detectors.motifs.model_copy(update={"propose": False})
    return settings.model_copy(
        update={
            "source": settings.source.model_copy(update={"name": SOURCE}),
            "detectors": settings.detectors.model_copy(update={"domains": always, **in_turn}),
            "events": settings.events.model_copy(update={"max_defects": MOST_DEFECTS}),
        }
    )


def with_material(settings: Settings, text: str) -> Settings:
    """Take a material as the command line names it; raises as `material_of`."""
    return settings.model_copy(update={"material": material_of(text)})


def with_models(settings: Settings, models: Sequence[Path]) -> tuple[Settings, list[str]]:
    """Take model files, each for the detector that it says, in place of those of the settings.

    Returns
    -------
    Settings, list of str
        And the names of detectors that ask for a model, and got none.

    Raises
    ------
    ModelError
        One is none.
    ValueError
        Two are for one detector, or one is for a detector that does not look.
    """
    given: dict[str, Path] = {}
    for model in models:
        name = detector_of(str(model))
        if name not in MODELLED:
            raise ValueError(f"{model} is for {name}, expected one of {', '.join(MODELLED)}")
        if name in given:
            raise ValueError(f"{given[name]} and {model} are both for {name}: give one")
        if not getattr(settings.detectors, name).enabled:
            raise ValueError(f"{model} is for {name}, which does not look: add it to --detectors")
        given[name] = model
    for name, model in given.items():
        settings = with_model(settings, name, model)
    missing = [name for name in looking(settings) if name in MODELLED and name not in given]
    return settings, missing


def with_model(settings: Settings, name: str, model: Path) -> Settings:
    """Take a model file for one detector in place of the one that the settings name."""
    chosen = getattr(settings.detectors, name).model_copy(update={"model": str(model)})
    detectors = settings.detectors.model_copy(update={name: chosen})
    return settings.model_copy(update={"detectors": detectors})


def looking(settings: Settings) -> list[str]:
    """Names of the detectors that look."""
    return [name for name in DETECTORS if getattr(settings.detectors, name).enabled]


def make_pipeline(
    settings: Settings, *, artifacts: Mapping[str, str] | None = None, pictures: bool = False
) -> Pipeline:
    """Build the daemon's pipeline, without the daemon.

    Parameters
    ----------
    settings
        As the daemon's.
    artifacts
        What the events call the model of a detector; one that is not in it is called as the
        settings do.
    pictures
        Whether detectors draw what they could not explain.

    Raises
    ------
    ModelError
        A model is missing or refused.
    """
    require_detector(settings.detectors)
    called = artifacts or {}
    patterson = None
    if settings.detectors.patterson.enabled:
        patterson = load_patterson(settings.detectors.patterson.model)
        artifact = called.get("patterson", patterson.artifact)
        patterson = dataclasses.replace(patterson, artifact=artifact)
    vae = vae_in_force(settings.detectors.vae)
    if isinstance(vae, LoadedVae):
        vae = dataclasses.replace(vae, artifact=called.get("vae", vae.artifact))
    symmetry = symmetry_in_force(settings.detectors.symmetry)
    if isinstance(symmetry, LoadedSymmetry):
        symmetry = dataclasses.replace(symmetry, artifact=called.get("symmetry", symmetry.artifact))
    motifs = motifs_in_force(settings.detectors.motifs)
    if motifs is not None:
        motifs = dataclasses.replace(motifs, artifact=called.get("motifs", motifs.artifact))
    return Pipeline(
        models=ModelSet(
            patterson,
            settings.detectors.reference_cell.enabled,
            domain_looks(settings.detectors.domains),
            vae,
            symmetry,
            motifs,
        ),
        settings=dataclasses.replace(pipeline_settings(settings), pictures=pictures),
        clock=SystemClock(),
    )


def tell_people(line: str) -> None:
    """Write a line for people."""
    sys.stderr.write(f"{line}\n")


class Fitter(Protocol):
    """Whatever fits a model to frames."""

    def fit(
        self,
        reference: Reference,
        *,
        out: Path,
        detector: str,
        progress: Callable[[FitProgress], None],
    ) -> FitReport:
        """Write a model file, or raise `FitRefusedError`."""
        ...


@dataclass(frozen=True, slots=True)
class FitOnItself:
    """Makes the pipeline of a recording with models fitted on the recording itself.

    Attributes
    ----------
    fitter
        Fits them.
    folder
        For their files.
    settings
        Who looks.
    names
        Of those for whom no model was given.
    pictures
        Whether detectors draw what they could not explain.
    tell
        Gets a line on what could not be fitted, or is doubtful.
    """

    fitter: Fitter
    folder: Path
    settings: Settings
    names: Sequence[str] = ("patterson",)
    pictures: bool = False
    tell: Callable[[str], object] = tell_people

    def __call__(self, recording: Recording) -> Pipeline:
        """Fit, say what the fits warned of, and build."""
        settings, artifacts = self.settings, {}
        for name in self.names:
            if name not in looking(settings):
                continue
            model = self.folder / f"{name}{MODEL_SUFFIX}"
            try:
                report = self._fit(recording, name, model)
            except FitRefusedError as refusal:
                others = [other for other in looking(settings) if other != name]
                if not set(others) - {"domains", "motifs"}:
                    raise
                self.tell(f"{refusal}; {name} does not look, others do")
                settings = with_detectors(settings, self._with_points(others))
                continue
            for warning in report.warnings:
                self.tell(f"{recording.path}: {warning}")
            settings = with_model(settings, name, model)
            # The file is gone after the run, and its folder has another name in each: say what
            # it was.
            artifacts[name] = f"fitted:{recording.name}"
        return make_pipeline(settings, artifacts=artifacts, pictures=self.pictures)

    def _with_points(self, names: list[str]) -> list[str]:
        """Without motifs where nobody is left who finds what they would name."""
        if "motifs" not in names or POINTS & set(names):
            return names
        self.tell("motifs names what others find, and nobody is left who looks for points")
        return [name for name in names if name != "motifs"]

    def _fit(self, recording: Recording, name: str, model: Path) -> FitReport:
        reference = reference_of([recording])
        with FitTeller(f"{recording.name}: {name}") as teller:
            return self.fitter.fit(reference, out=model, detector=name, progress=teller.tell)
