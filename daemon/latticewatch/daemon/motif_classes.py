"""What the classes of a motif model are called, those among them that the stream proposes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.motif_class import MotifClass
from latticewatch.detectors.motifs.reservoir import ProposedClass
from latticewatch.detectors.protocols import MotifName

NEW_LABEL = "new"
NEW_ID = 0
_FARTHEST2 = 1e30
_PLAIN = ("pristine", "neighbour")


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Id, name and role of each class by its row; negative rows are new.

    Attributes
    ----------
    ids, labels, roles
        Those of the model, then those that are proposed.
    """

    ids: tuple[int, ...]
    labels: tuple[str, ...]
    roles: tuple[str, ...]

    @classmethod
    def of(cls, model: MotifModel, proposed: Sequence[ProposedClass] = ()) -> "ClassNames":
        """Take them from a model and what is proposed."""
        return cls(
            (*(one.class_id for one in model.classes), *(one.class_id for one in proposed)),
            (*(_label_of(one) for one in model.classes), *(one.name for one in proposed)),
            (*(one.role for one in model.classes), *("proposed" for _ in proposed)),
        )

    @property
    def plain(self) -> frozenset[int]:
        """Rows of classes that are no defects."""
        return frozenset(row for row, role in enumerate(self.roles) if role in _PLAIN)

    def id_of(self, row: int) -> int:
        """Return the id of a class, 0 for new."""
        return self.ids[row] if row >= 0 else NEW_ID

    def label_of(self, row: int) -> str:
        """Return the name of a class."""
        return self.labels[row] if row >= 0 else NEW_LABEL

    def name(self, row: int, p: float, distance2: float) -> MotifName:
        """Put together what an event says of a place of this class."""
        role = self.roles[row] if row >= 0 else NEW_LABEL
        p = min(max(p, 0.0), 1.0) if np.isfinite(p) else 0.0
        # Of a number that the wire does not have, the largest that says the same.
        distance2 = min(max(distance2, 0.0), _FARTHEST2) if not np.isnan(distance2) else _FARTHEST2
        distance = float(np.sqrt(distance2))
        return MotifName(self.id_of(row), p, distance, role)

    def ids_of(
        self, rows: NDArray[np.intp], *, unscored: int, unscored_id: int = -1
    ) -> NDArray[np.int64]:
        """Ids (N,) of rows (N,): 0 for new, `unscored_id` where the row is `unscored`."""
        table = np.array([*self.ids, NEW_ID], np.int64)
        ids: NDArray[np.int64] = table[np.where(rows >= 0, rows, len(self.ids))]
        return np.where(rows == unscored, unscored_id, ids)


def _label_of(one: MotifClass) -> str:
    # Of a defect that a detector lists: "B" alone would read as the name of the defect.
    return f"ordinary {one.name}" if one.role == "pristine" else one.name
