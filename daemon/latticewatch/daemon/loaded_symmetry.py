"""A model of the symmetry maps as its file holds it, and what looks at frames with it."""

from dataclasses import dataclass

from latticewatch.daemon.look_symmetry import Seer, SymmetryLooker
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Looker
from latticewatch.daemon.symmetry_gate import SegmentGate
from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.polarity import contrast_of_frame
from latticewatch.detectors.symmetry.gate import Gate
from latticewatch.detectors.symmetry.model import DETECTOR, SymmetryModel
from latticewatch.detectors.symmetry.score import SymmetryDetector
from latticewatch.detectors.symmetry.segments import find_segments


@dataclass(frozen=True, slots=True)
class LoadedSymmetry:
    """A model of the symmetry maps, as read from its file.

    Attributes
    ----------
    model
        As read.
    artifact
        How the settings named it.
    sha256
        Of the file.
    gated
        Whether the network in it, if there is one, has a say.
    """

    model: SymmetryModel
    artifact: str
    sha256: str
    gated: bool = True

    def looker(self, clock: Clock) -> Looker:
        """Make a detector of it, with buffers of its own."""
        model = self.model
        return SymmetryLooker(
            Seer(
                SymmetryDetector(model),
                lambda found, shape_yx: find_segments(found, model, shape_yx),
                gate_of(model, self.artifact) if self.gated else None,
                model.basis_px_yx,
                model.step_px,
                contrast_of(model),
            ),
            (DETECTOR, self.artifact, self.sha256),
            clock,
        )


def load_symmetry_model(artifact: Artifact, where: str) -> SymmetryModel:
    """Build the model of a file, and its network if it has one; raises ModelError, naming it."""
    model = SymmetryModel.from_artifact(artifact, where)
    gate_of(model, where)
    return model


def gate_of(model: SymmetryModel, where: str) -> SegmentGate | None:
    """Make what asks the network in a model; None where there is none.

    Raises
    ------
    ModelError
        It is damaged, or none of ours; the message opens with `where`.
    """
    if not model.gate:
        return None
    gate = Gate(model.gate, f"{where}: gate")
    return SegmentGate(gate, tile_px=gate.tile_px, threshold=gate.header.threshold)


def contrast_of(model: SymmetryModel) -> int:
    """Tell whether the columns of a model are bright (+1) or dark (-1), by its model patch."""
    period_px = model.period_px
    if period_px is None:
        return 1
    return contrast_of_frame(model.patch, period_px / model.preprocess.binning)
