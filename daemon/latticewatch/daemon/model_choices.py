"""What the settings say of detectors, as the loading of models asks it."""

from typing import Protocol


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
