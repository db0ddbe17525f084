"""Model files by the names that settings and command lines give them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from latticewatch.detectors import pretrained
from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.protocols import ModelError

PRETRAINED = "pretrained:"
MODEL_SUFFIX = ".model"


@contextmanager
def naming_the_setting(detector: str) -> Iterator[None]:
    """Let a refusal open with the setting that names the model."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"detectors.{detector}.model: {error}") from error


def read_model(name: str) -> Artifact:
    """Read a model by path or as `pretrained:NAME`; raises ModelError, opening with the name."""
    if name.startswith(PRETRAINED):
        return _read_pretrained(name.removeprefix(PRETRAINED))
    if name in pretrained.MODELS and not Path(name).exists():
        raise ModelError(f"{name}: no such file, did you mean {PRETRAINED}{name}?")
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
