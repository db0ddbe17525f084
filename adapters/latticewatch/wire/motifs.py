"""What the motif classes say in an event: of a defect, and of sites that changed."""

from typing import Annotated

from msgspec import Meta, Struct

_ClassId = Annotated[int, Meta(ge=0)]
_Chance = Annotated[float, Meta(ge=0, le=1)]


class Motif(Struct, frozen=True, kw_only=True):
    """Which motif class a defect belongs to; its name is the `label` of the defect.

    Attributes
    ----------
    id
        Of the most probable class within whose limit the site lies; 0: within none, "new"; from
        1000000 on: of a class that the stream proposes, which lasts while the daemon runs.
    p
        Probability of the class among those within whose limit the site lies; of id 0 the chance
        that a member of the nearest class lies so far out.
    distance
        Mahalanobis distance to that class; of id 0 to the nearest one.
    role
        Word of an open set: pristine, defect, neighbour, proposed; new for id 0.
    """

    id: _ClassId
    p: _Chance
    distance: Annotated[float, Meta(ge=0)]
    role: str


class MotifChange(Struct, frozen=True, kw_only=True):
    """A site that was of one class in earlier frames, and is of another now; told once.

    Attributes
    ----------
    site
        Lattice address: cell along a, cell along b, sublattice.
    pixel_yx, frac_yx
        Of the site in this frame.
    before, after
        Ids of classes, 0 for new.
    p
        Of the class after, as of a `Motif`.
    """

    site: tuple[int, int, int]
    pixel_yx: tuple[float, float]
    frac_yx: tuple[float, float]
    before: _ClassId
    after: _ClassId
    before_label: str
    after_label: str
    p: _Chance
