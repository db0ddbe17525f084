"""What the settings say of detectors, as the loading of models asks it."""

from typing import Protocol

from latticewatch.detectors.protocols import ModelError


class PattersonChoice(Protocol):
    """What the settings say of one detector."""

    @property
    def enabled(self) -> bool:
        """Whether the detector looks at frames."""
        ...

    @property
    def model(self) -> str:
        """`pretrained:NAME` or a path."""
        ...


class CellChoice(Protocol):
    """What the settings say of the detector that needs no model."""

    @property
    def enabled(self) -> bool:
        """Whether the detector looks at frames."""
        ...


class DomainChoice(Protocol):
    """What the settings say of the detector of lines and patches."""

    @property
    def enabled(self) -> bool:
        """Whether the detector looks at frames."""
        ...

    @property
    def always(self) -> bool:
        """Also at frames that hold the lattice everywhere."""
        ...


class VaeChoice(Protocol):
    """What the settings say of the detector that redraws what it looks at."""

    @property
    def enabled(self) -> bool:
        """Whether the detector looks at frames."""
        ...

    @property
    def model(self) -> str:
        """`pretrained:NAME` or a path."""
        ...

    @property
    def late(self) -> bool:
        """Whether it answers in an event of its own."""
        ...


class SymmetryChoice(Protocol):
    """What the settings say of the detector that maps how far the texture is from a crystal's."""

    @property
    def enabled(self) -> bool:
        """Whether the detector looks at frames."""
        ...

    @property
    def model(self) -> str:
        """`pretrained:NAME` or a path."""
        ...

    @property
    def late(self) -> bool:
        """Whether it answers in an event of its own."""
        ...

    @property
    def gate(self) -> bool:
        """Whether the network in its model, if any, has a say."""
        ...


class MotifsChoice(Protocol):
    """What the settings say of the classes that name what others find."""

    @property
    def enabled(self) -> bool:
        """Whether defects are named."""
        ...

    @property
    def model(self) -> str:
        """`pretrained:NAME` or a path."""
        ...

    @property
    def follow(self) -> bool:
        """Whether changes of sites are told."""
        ...

    @property
    def propose(self) -> bool:
        """Whether classes are proposed."""
        ...

    @property
    def propose_after(self) -> int:
        """Sites that must agree for that."""
        ...


class DetectorChoice(Protocol):
    """What the settings say of all detectors."""

    @property
    def patterson(self) -> PattersonChoice:
        """The one-class SVM on Patterson maps."""
        ...

    @property
    def reference_cell(self) -> CellChoice:
        """The residual against the mean cell."""
        ...

    @property
    def domains(self) -> DomainChoice:
        """The amplitudes of reflections."""
        ...

    @property
    def vae(self) -> VaeChoice:
        """What a small network cannot redraw."""
        ...

    @property
    def symmetry(self) -> SymmetryChoice:
        """How far the texture is from a crystal's."""
        ...

    @property
    def motifs(self) -> MotifsChoice:
        """Names what others find."""
        ...


def late_names(choice: DetectorChoice) -> frozenset[str]:
    """Names of the detectors that look, and answer in an event of their own."""
    slow = {"vae": choice.vae, "symmetry": choice.symmetry}
    return frozenset(name for name, one in slow.items() if one.enabled and one.late)


def require_detector(choice: DetectorChoice) -> None:
    """Refuse settings by which nothing would look at frames.

    The symmetry maps may answer alone: what they judge are cells of their own. `domains` only adds
    to what others say.

    Raises
    ------
    ModelError
        No detector is enabled, or only such as follow others.
    """
    points = (choice.patterson, choice.reference_cell, choice.vae)
    if choice.motifs.enabled and not any(one.enabled for one in points):
        raise ModelError(
            "detectors.motifs.enabled = true: it names points that others find, and none that "
            "looks for points is enabled: set detectors.reference_cell.enabled = true"
        )
    if choice.patterson.enabled or choice.reference_cell.enabled:
        return
    slow = {"vae": choice.vae, "symmetry": choice.symmetry}
    enabled = {name: one for name, one in slow.items() if one.enabled}
    if not enabled:
        raise ModelError(
            "detectors: none that looks for points is enabled, and domains alone answers no frame: "
            "set detectors.reference_cell.enabled = true"
        )
    if all(one.late for one in enabled.values()):
        names = " and ".join(f"detectors.{name}.late" for name in enabled)
        raise ModelError(
            f"{names} = true: it has nobody to follow, for no other that looks for "
            "points is enabled: set it to false, or detectors.reference_cell.enabled = true"
        )
