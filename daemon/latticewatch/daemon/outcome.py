"""What comes out of the pipeline: an event, and what is left for detectors that take longer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.image_pool import ImagePool
from latticewatch.daemon.material import Scaled
from latticewatch.daemon.sights import Picture, Scene
from latticewatch.wire.events import DefectEvent, Drift

if TYPE_CHECKING:
    from latticewatch.detectors.motifs.model import MotifModel


@dataclass(frozen=True, slots=True)
class LateJob:
    """A frame that the late detectors have still to look at.

    Whoever holds it owns `scene.image`; everything else in it is never changed by anybody. Settled
    or dropped, it is released, once.

    Attributes
    ----------
    scene
        As the first detectors saw it. `followed` of its lattices speaks of the frame before, which
        the late detectors may not have seen: see `chain`.
    chain
        Number of the chain of frames through which the lattices were followed. Within one, a number
        of a domain means the same lattice.
    answered
        Whether one of the first detectors judged places.
    quality
        What the pixels say.
    drift, scaled
        As the first event tells them.
    received_ns, ready_ns
        Monotonic: taken from the socket; the first event was complete.
    first
        The first event, envelope empty.
    pool
        Gets the image back.
    """

    scene: Scene
    chain: int
    answered: bool
    quality: tuple[str, ...]
    drift: Drift | None
    scaled: Scaled
    received_ns: int
    ready_ns: int
    first: DefectEvent
    pool: ImagePool

    def release(self) -> None:
        """Give the image back; it must not be looked at again."""
        self.pool.give_back(self.scene.image)


@dataclass(frozen=True, slots=True)
class MotifView:
    """Every lattice site of a frame with its motif class, for a report. Rows of all domains.

    Attributes
    ----------
    places_yx : (N, 2)
        Of the sites, pixels.
    class_id : (N,)
        Id in the model; 0 for new, -1 for unscored.
    probability : (N,)
        Of the class; NaN for unscored.
    address : (N, 3)
        Cell along a, cell along b, sublattice; those of the k-th further domain from 100 k on.
    model
        Whose classes they are.
    """

    places_yx: NDArray[np.float64]
    class_id: NDArray[np.int64]
    probability: NDArray[np.float64]
    address: NDArray[np.int64]
    model: "MotifModel"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An event, without its envelope, and how long each stage took.

    Attributes
    ----------
    event
        `stream` is empty, `seq` -1 and `t_pub_ns` 0 until the outbox fills them.
    stage_us
        Of a first event: validate, lattice, those of each detector, fuse, total. Of a late one:
        those of each detector, and late, all since the frame was received.
    n_defects
        Before the cap.
    note
        Why there is no lattice, in words and numbers for a person; else empty.
    warning
        What does not fit and is said once, not for each frame; else empty.
    n_refused
        Scores that were not finite, by detector.
    late
        What is left to be looked at, None where nothing is.
    pictures
        What detectors could not explain, where that was asked for.
    motifs
        Every site with its motif class, where pictures were asked for, and motifs look.
    n_motifs
        Defects by what the motif classes said of them: named, new, unscored.
    n_changes
        Sites whose motif class changed, before the cap.
    """

    event: DefectEvent
    stage_us: dict[str, int]
    n_defects: int
    note: str = ""
    warning: str = ""
    n_refused: Mapping[str, int] = field(default_factory=dict)
    late: LateJob | None = None
    pictures: tuple[Picture, ...] = ()
    motifs: MotifView | None = None
    n_motifs: Mapping[str, int] = field(default_factory=dict)
    n_changes: int = 0

    @property
    def is_late(self) -> bool:
        """Whether the event is a further one on a frame."""
        return self.event.stage == "late"
