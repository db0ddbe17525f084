"""Where a model comes from, and whether it was calibrated on what it had learned."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.protocols import ModelError


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from; nothing of it is needed to score.

    Attributes
    ----------
    training
        Loss, divergence, epochs, seed and the rest, by name.
    frames
        Digest of the pixels of each frame that the network learned from.
    folds
        How p-values were calibrated: of a frame, named by its digest, sites within the last two of
        these rows were judged by a network that learned from windows within the first two.
    """

    training: Mapping[str, float] = field(default_factory=dict)
    frames: tuple[str, ...] = ()
    folds: tuple[tuple[str, int, int, int, int], ...] = ()

    @property
    def in_sample(self) -> bool:
        """Whether a network was asked about rows that it had learned from."""
        return any(
            digest == other and first <= until and start <= last
            for digest, first, last, _, _ in self.folds
            for other, begin, end, start, until in self.folds
            if (begin, end) == (first, last)
        )


def read_provenance(artifact: Artifact, where: str) -> Provenance:
    """Read what the guard against leaks needs.

    Raises
    ------
    ModelError
        The file does not say it.
    """
    frames, folds = artifact.header.get("frames"), artifact.header.get("folds")
    if not isinstance(frames, list) or not all(isinstance(one, str) for one in frames):
        raise ModelError(f"{where}: frames = {frames!r:.60}, expected digests")
    if not isinstance(folds, list):
        raise ModelError(f"{where}: folds = {folds!r:.60}, expected a list")
    for one in folds:
        plain = isinstance(one, list) and len(one) == 5 and isinstance(one[0], str)
        if not plain or not all(type(row) is int for row in one[1:]):
            raise ModelError(
                f"{where}: folds holds {one!r:.60}, expected a digest, first and last row of the "
                "fit and of the calibration"
            )
    training = artifact.header.get("training")
    return Provenance(
        training if isinstance(training, dict) else {},
        tuple(frames),
        tuple((one[0], one[1], one[2], one[3], one[4]) for one in folds),
    )
