"""The models in force: found, loaded, checked, named by digest. Immutable once loaded."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, Protocol

from latticewatch.daemon.look_vae import LoadedVae, read_vae, site_detector
from latticewatch.daemon.model_choices import DetectorChoice, DomainChoice, VaeChoice
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Looker
from latticewatch.detectors import pretrained
from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.patterson.model import DETECTOR, PattersonModel
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.protocols import ModelError as ModelError
from latticewatch.detectors.vae.window_model import WindowModel

DomainLooks = Literal["never", "where_lost", "always"]
_PRETRAINED = "pretrained:"
MODEL_SUFFIX = ".model"


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


class VaeInForce(Protocol):
    """A model of the network, checked."""

    @property
    def artifact(self) -> str:
        """How the settings named it."""
        ...

    @property
    def sha256(self) -> str:
        """Of the file."""
        ...

    def looker(self, clock: Clock, *, pictures: bool) -> Looker:
        """Make a detector of it, with buffers of its own; with pictures of what is left or not."""
        ...


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
    vae
        None where it does not look.
    """

    patterson: PattersonInForce | None
    reference_cell: bool = False
    domains: DomainLooks = "never"
    vae: VaeInForce | None = None

    @property
    def digest(self) -> str:
        """16 hex digits over the digests of all artifacts; thresholds are added by the pipeline."""
        artifacts = [] if self.patterson is None else [self.patterson.sha256]
        others = ["reference_cell"] if self.reference_cell else []
        if self.domains != "never":
            others.append(f"domains {self.domains}")
        if self.vae is not None:
            others.append(f"vae {self.vae.sha256}")
        return digest_of([*artifacts, *others])

    def describe(self) -> list[dict[str, object]]:
        """One line per model, for metrics and status."""
        models = {DETECTOR: self.patterson, "vae": self.vae}
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
        with _naming_the_setting("patterson"):
            patterson = load_patterson(choice.patterson.model)
    return ModelSet(
        patterson,
        choice.reference_cell.enabled,
        domain_looks(choice.domains),
        vae_in_force(choice.vae),
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
        with _naming_the_setting("patterson"):
            _read_patterson(choice.patterson.model)
    if choice.vae.enabled:
        with _naming_the_setting("vae"):
            read_vae(_read(choice.vae.model), choice.vae.model)


def model_mistakes(choice: DetectorChoice) -> list[str]:
    """Return what `check_models` would raise, to be told with other mistakes; empty if nothing."""
    try:
        check_models(choice)
    except ModelError as error:
        return [str(error)]
    return []


def require_detector(choice: DetectorChoice) -> None:
    """Refuse settings by which nothing would look at frames.

    Raises
    ------
    ModelError
        No detector is enabled, or only one that follows others.
    """
    if choice.patterson.enabled or choice.reference_cell.enabled:
        return
    if not choice.vae.enabled:
        raise ModelError(
            "detectors: none that looks for points is enabled, and domains alone answers no frame: "
            "set detectors.reference_cell.enabled = true"
        )
    if choice.vae.late:
        raise ModelError(
            "detectors.vae.late = true: it has nobody to follow, for no other that looks for "
            "points is enabled: set it to false, or detectors.reference_cell.enabled = true"
        )


@contextmanager
def _naming_the_setting(detector: str) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(f"detectors.{detector}.model: {error}") from error


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


def vae_in_force(choice: VaeChoice) -> VaeInForce | None:
    """Load the model of the network; None where it does not look.

    Raises
    ------
    ModelError
        It is refused; the message opens with the setting.
    """
    if not choice.enabled:
        return None
    with _naming_the_setting("vae"):
        return load_vae(choice.model)


def load_vae(name: str) -> LoadedVae:
    """Load one model of the autoencoder by path or as `pretrained:NAME`.

    Raises
    ------
    ModelError
        It is missing, damaged or does not give its own answer; the message opens with its name.
    """
    artifact = _read(name)
    model = read_vae(artifact, name)
    if not isinstance(model, WindowModel):
        site_detector(model, name)  # gives its own answer, or is refused
    return LoadedVae(model, name, artifact.sha256)


def _read_patterson(name: str) -> tuple[PattersonModel, str]:
    """Model and digest of its file."""
    artifact = _read(name)
    return PattersonModel.from_artifact(artifact, name), artifact.sha256


def detector_of(name: str) -> str:
    """Whose model it is, by path or as `pretrained:NAME`; raises ModelError if it is none."""
    return _read(name).detector


def _read(name: str) -> Artifact:
    if name.startswith(_PRETRAINED):
        return _read_pretrained(name.removeprefix(_PRETRAINED))
    if name in pretrained.MODELS and not Path(name).exists():
        raise ModelError(f"{name}: no such file, did you mean {_PRETRAINED}{name}?")
    return Artifact.read(Path(name))


def pretrained_models() -> Mapping[str, str]:
    """Names of the shipped models, and the crystal of each in words."""
    return pretrained.MODELS


def _read_pretrained(name: str) -> Artifact:
    if name not in pretrained.MODELS:
        known = ", ".join(sorted(pretrained.MODELS))
        raise ModelError(f"pretrained:{name}: no such model is shipped, there is: {known}")
    with resources.as_file(resources.files(pretrained) / f"{name}{MODEL_SUFFIX}") as path:
        return Artifact.read(path)
