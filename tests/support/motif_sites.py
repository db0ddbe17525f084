"""A motif model and the named sites of a frame, made up: what a page has to show."""

from dataclasses import dataclass, field, replace

import numpy as np
from msgspec.structs import replace as replaced
from numpy.typing import NDArray

from latticewatch.wire.events import Defect, DefectEvent
from latticewatch.wire.motifs import Motif
from support.golden_events import event_messages

HOSTILE = "<script>alert('a')</script><img src=\"http://evil.example/x.png\" onerror=alert(1)>"


@dataclass(frozen=True)
class Class:
    class_id: int
    name: str
    role: str
    kind: str
    sublattice: int
    n_members: int
    stands_beside: tuple[int, ...] = ()
    intensity_ratio: float | None = None
    automatic_name: str = ""
    named_by_user: bool = False


@dataclass(frozen=True)
class Columns:
    height: NDArray[np.float64] = field(default_factory=lambda: np.array([1.0, 0.5]))
    sigma_px: float = 4.5
    nearest_px: float = 20.0


@dataclass(frozen=True)
class Model:
    classes: tuple[Class, ...]
    patches: NDArray[np.float32]
    patch_errors: NDArray[np.float32]
    sample_class: NDArray[np.int64]
    layout_yx: NDArray[np.float32]
    side: int = 33
    radius_px: float = 16.0
    reject_chi2: float = 20.5
    n_sites: int = 2345
    n_frames: int = 3
    columns: Columns = field(default_factory=Columns)
    pca_matrix: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((36, 5), dtype=np.float32)
    )


@dataclass(frozen=True)
class Sites:
    places_yx: NDArray[np.float64]
    class_id: NDArray[np.int64]
    address: NDArray[np.int64]
    model: Model


CLASSES = (
    Class(1, "W", "pristine", "none", 0, 1100),
    Class(2, "S2", "pristine", "none", 1, 1000),
    Class(3, "one S missing", "defect", "deficit", 1, 40, (), 0.512),
    Class(4, "both S missing", "defect", "vacancy", 1, 12, (), 0.021),
    Class(5, "lighter metal", "defect", "deficit", 0, 30, (), 0.31),
    Class(6, "W beside one S missing", "neighbour", "none", 0, 90, (3,), 0.98),
    Class(7, "brighter chalcogen", "proposed", "excess", 1, 8, (), 1.8),
)


def made_up_model(classes: tuple[Class, ...] = CLASSES, seed: int = 3) -> Model:
    """A model with a bump for each class, and a layout with a knot for each."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((33, 33)) - 16
    inside = np.hypot(y, x) <= 16
    bump = np.exp(-(y**2 + x**2) / 40)
    height = np.linspace(1.0, 0.1, len(classes))[:, None, None]
    patches = np.where(inside, height * bump, np.nan).astype(np.float32)
    errors = np.where(inside, 0.02 * rng.random(patches.shape), np.nan).astype(np.float32)
    n = np.array([max(8, min(400, one.n_members)) for one in classes])
    sample = np.append(np.repeat(np.arange(len(classes)), n), [-1] * 9)
    middle = rng.uniform(-10, 10, (len(classes) + 1, 2))
    layout = middle[sample] + rng.normal(0, 0.6, (len(sample), 2))
    return Model(classes, patches, errors, sample, layout.astype(np.float32))


def made_up_frame(
    model: Model, side_px: int = 512, period_px: float = 32.0, seed: int = 4
) -> tuple[NDArray[np.float32], Sites]:
    """A square lattice of two sublattices, some sites of each class, and two that are new."""
    rng = np.random.default_rng(seed)
    line = np.arange(period_px / 2, side_px, period_px)
    first = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    places = np.concatenate([first, first + period_px / 2])
    places = places[(places < side_px).all(axis=1)]
    known = [one.class_id for one in model.classes]
    class_id = np.where(
        np.arange(len(places)) < len(first), known[0], known[min(1, len(known) - 1)]
    )
    odd = rng.permutation(len(places))[: 5 * len(known)]
    class_id[odd] = np.resize(known, len(odd))
    class_id[odd[-2:]] = 0
    rim = (places < 20).any(axis=1)
    class_id[rim] = -1
    y, x = np.indices((side_px, side_px))
    image = np.zeros((side_px, side_px))
    for (at_y, at_x), one in zip(places, class_id, strict=True):
        height = 0.3 if one in (3, 4, 5) else 1.0
        near = np.s_[
            max(0, int(at_y) - 16) : int(at_y) + 17, max(0, int(at_x) - 16) : int(at_x) + 17
        ]
        image[near] += height * np.exp(-((y[near] - at_y) ** 2 + (x[near] - at_x) ** 2) / 40)
    address = np.stack([np.arange(len(places)), -np.arange(len(places)), 0 * rim], axis=1)
    noisy = image + rng.normal(0, 0.08, image.shape)
    return noisy.astype(np.float32), Sites(places, class_id, address, model)


def renamed(model: Model, class_id: int, name: str) -> Model:
    """The model with another name for a class."""
    classes = tuple(
        replace(one, name=name, automatic_name=one.name, named_by_user=True)
        if one.class_id == class_id
        else one
        for one in model.classes
    )
    return replace(model, classes=classes)


def made_up_event(sites: Sites, shape_yx: tuple[int, int], *, nm: bool = True) -> DefectEvent:
    """The event that lists every site of a class of defects, and the new ones."""
    role = {one.class_id: one.role for one in sites.model.classes} | {0: "new", -1: ""}
    name = {one.class_id: one.name for one in sites.model.classes} | {0: "new"}
    kind = {one.class_id: one.kind for one in sites.model.classes} | {0: "unknown"}
    odd = [k for k, one in enumerate(sites.class_id.tolist()) if role[one] in ("defect", "new")]
    defects = [
        Defect(
            i=i,
            kind=kind[int(sites.class_id[k])],
            label=name[int(sites.class_id[k])],
            score=12.0 - 0.1 * i,
            p_value=10.0 ** (i / 4 - 12),
            q_value=10.0 ** (i / 4 - 10),
            pixel_yx=(float(sites.places_yx[k, 0]), float(sites.places_yx[k, 1])),
            frac_yx=(0.5, 0.5),
            nm_yx=(1.25, -0.5) if nm else None,
            cov_px=(0.01, 0.0, 0.01),
            site=(k, -k, 0),
            extent_px=10.0,
            edge=False,
            motif=Motif(
                id=int(sites.class_id[k]), p=0.97, distance=2.5, role=role[int(sites.class_id[k])]
            ),
        )
        for i, k in enumerate(odd)
    ]
    empty = event_messages()["event_none"]
    state = replaced(empty.detectors[0], name="motifs", artifact="fitted:made-up.tif")
    return replaced(
        empty,
        frame=replaced(empty.frame, shape_yx=shape_yx),
        detectors=(*empty.detectors, state),
        defects=tuple(defects),
        n_defects=len(defects),
        calibrated=nm,
    )
