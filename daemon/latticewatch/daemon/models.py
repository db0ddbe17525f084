"""The models in force: found, loaded, checked, named by digest. Immutable once loaded."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from latticewatch.daemon.in_force import InForce, MotifsInForce, SymmetryInForce
from latticewatch.daemon.loaded_motifs import LoadedMotifs
from latticewatch.daemon.loaded_symmetry import LoadedSymmetry, load_symmetry_model
from latticewatch.daemon.look_vae import LoadedVae, read_vae, site_detector
from latticewatch.daemon.model_choices import (
    DetectorChoice,
    DomainChoice,
    MotifsChoice,
    SymmetryChoice,
    VaeChoice,
)
from latticewatch.daemon.model_choices import require_detector as require_detector
from latticewatch.daemon.model_reading import MODEL_SUFFIX as MODEL_SUFFIX
from latticewatch.daemon.model_reading import naming_the_setting, read_model
from latticewatch.daemon.model_reading import pretrained_models as pretrained_models
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.patterson.model import DETECTOR, PattersonModel
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.protocols import ModelError as ModelError
from latticewatch.detectors.vae.window_model import WindowModel

DomainLooks = Literal["never", "where_lost", "always"]


@dataclass(frozen=True, slots=True)
class PattersonInForce:
    """A model of scheme one.

    Attributes
    ----------
    detector
        Ready to score; its probe has been checked.
    artifact
        How the settings named it.
    sha256
        Of the file.
    """

    detector: PattersonDetector
    artifact: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelSet:
    """Who looks at frames, and with which models.

    Attributes
    ----------
    patterson
        None where it does not look.
    reference_cell
        Whether the detector that needs no model looks.
    domains
        At which frames lines and patches are looked for.
    vae, symmetry
        None where they do not look.
    motifs
        Names what the others find; None leaves it without names.
    """

    patterson: PattersonInForce | None
    reference_cell: bool = False
    domains: DomainLooks = "never"
    vae: InForce | None = None
    symmetry: SymmetryInForce | None = None
    motifs: MotifsInForce | None = None

    @property
    def digest(self) -> str:
        """16 hex digits over the digests of all artifacts; thresholds are added by the pipeline."""
        artifacts = [] if self.patterson is None else [self.patterson.sha256]
        others = ["reference_cell"] if self.reference_cell else []
        if self.domains != "never":
            others.append(f"domains {self.domains}")
        if self.vae is not None:
            others.append(f"vae {self.vae.sha256}")
        if self.symmetry is not None:
            gate = "" if self.symmetry.gated else " without its gate"
            others.append(f"symmetry {self.symmetry.sha256}{gate}")
        if self.motifs is not None:
            others.append(self.motifs.told)
        return digest_of([*artifacts, *others])

    def describe(self) -> list[dict[str, object]]:
        """One line per model, for metrics and status."""
        models = {
            DETECTOR: self.patterson,
            "vae": self.vae,
            "symmetry": self.symmetry,
            "motifs": self.motifs,
        }
        return [
            {"name": name, "artifact": model.artifact, "sha256": model.sha256}
            for name, model in models.items()
            if model is not None
        ]


def digest_of(parts: Sequence[object]) -> str:
    """First 16 hex digits of the SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:16]


def load_models(choice: DetectorChoice) -> ModelSet:
    """Load what the settings name.

    Raises
    ------
    ModelError
        No detector is enabled, or a model is missing, damaged or does not give its own answer; the
        message opens with the setting.
    """
    require_detector(choice)
    patterson = None
    if choice.patterson.enabled:
        with naming_the_setting("patterson"):
            patterson = load_patterson(choice.patterson.model)
    return ModelSet(
        patterson,
        choice.reference_cell.enabled,
        domain_looks(choice.domains),
        vae_in_force(choice.vae),
        symmetry_in_force(choice.symmetry),
        motifs_in_force(choice.motifs),
    )


def domain_looks(choice: DomainChoice) -> DomainLooks:
    """At which frames lines and patches are looked for."""
    if not choice.enabled:
        return "never"
    return "always" if choice.always else "where_lost"


def check_models(choice: DetectorChoice) -> None:
    """Read what the settings name, compiling and computing nothing.

    Raises
    ------
    ModelError
        As `load_models`, but for a model that does not give its own answer.
    """
    require_detector(choice)
    if choice.patterson.enabled:
        with naming_the_setting("patterson"):
            _read_patterson(choice.patterson.model)
    if choice.vae.enabled:
        with naming_the_setting("vae"):
            read_vae(read_model(choice.vae.model), choice.vae.model)
    if choice.symmetry.enabled:
        with naming_the_setting("symmetry"):
            load_symmetry(choice.symmetry.model)
    if choice.motifs.enabled:
        with naming_the_setting("motifs"):
            load_motifs(choice.motifs)


def model_mistakes(choice: DetectorChoice) -> list[str]:
    """Return what `check_models` would raise, to be told with other mistakes; empty if nothing."""
    try:
        check_models(choice)
    except ModelError as error:
        return [str(error)]
    return []


def load_patterson(name: str) -> PattersonInForce:
    """Load one Patterson model by path or as `pretrained:NAME`.

    Raises
    ------
    ModelError
        It is missing, damaged or does not give its own answer; the message opens with its name.
    """
    model, sha256 = _read_patterson(name)
    detector = PattersonDetector(model)
    detector.check_probe(name)
    return PattersonInForce(detector, name, sha256)


def vae_in_force(choice: VaeChoice) -> InForce | None:
    """Load the model of the network; None where it does not look.

    Raises
    ------
    ModelError
        It is refused; the message opens with the setting.
    """
    if not choice.enabled:
        return None
    with naming_the_setting("vae"):
        return load_vae(choice.model)


def load_vae(name: str) -> LoadedVae:
    """Load one model of the autoencoder by path or as `pretrained:NAME`.

    Raises
    ------
    ModelError
        It is missing, damaged or does not give its own answer; the message opens with its name.
    """
    artifact = read_model(name)
    model = read_vae(artifact, name)
    if not isinstance(model, WindowModel):
        site_detector(model, name)  # gives its own answer, or is refused
    return LoadedVae(model, name, artifact.sha256)


def symmetry_in_force(choice: SymmetryChoice) -> SymmetryInForce | None:
    """Load the model of the symmetry maps; None where they are not made.

    Raises
    ------
    ModelError
        It is refused; the message opens with the setting.
    """
    if not choice.enabled:
        return None
    with naming_the_setting("symmetry"):
        return load_symmetry(choice.model, gated=choice.gate)


def load_symmetry(name: str, *, gated: bool = True) -> LoadedSymmetry:
    """Load one model of the symmetry maps by path or as `pretrained:NAME`.

    Parameters
    ----------
    gated
        Ask the network that may be in it.

    Raises
    ------
    ModelError
        It is missing or damaged; the message opens with its name.
    """
    artifact = read_model(name)
    return LoadedSymmetry(load_symmetry_model(artifact, name), name, artifact.sha256, gated=gated)


def motifs_in_force(choice: MotifsChoice) -> LoadedMotifs | None:
    """Load the model of motif classes; None where defects are not named.

    Raises
    ------
    ModelError
        It is refused; the message opens with the setting.
    """
    if not choice.enabled:
        return None
    with naming_the_setting("motifs"):
        return load_motifs(choice)


def load_motifs(choice: MotifsChoice) -> LoadedMotifs:
    """Load one model of motif classes by path or as `pretrained:NAME`.

    Raises
    ------
    ModelError
        It is missing or damaged; the message opens with its name.
    """
    artifact = read_model(choice.model)
    return LoadedMotifs(
        MotifModel.from_artifact(artifact, choice.model),
        choice.model,
        artifact.sha256,
        choice.follow,
        choice.propose_after if choice.propose else None,
    )


def _read_patterson(name: str) -> tuple[PattersonModel, str]:
    """Model and digest of its file."""
    artifact = read_model(name)
    return PattersonModel.from_artifact(artifact, name), artifact.sha256


def detector_of(name: str) -> str:
    """Whose model it is, by path or as `pretrained:NAME`; raises ModelError if it is none."""
    return read_model(name).detector
