"""A motif model and the named sites of a frame, made up: what a page has to show."""

from dataclasses import replace

import numpy as np
from msgspec.structs import replace as replaced
from numpy.typing import NDArray

from latticewatch.daemon.outcome import MotifView
from latticewatch.detectors.motifs.columns import CellColumns
from latticewatch.detectors.motifs.features import PatchShape
from latticewatch.detectors.motifs.level import Pristine
from latticewatch.detectors.motifs.model import MotifClass, MotifModel
from latticewatch.wire.events import Defect, DefectEvent
from latticewatch.wire.motifs import Motif
from support.golden_events import event_messages

HOSTILE = "<script>alert('a')</script><img src=\"http://evil.example/x.png\" onerror=alert(1)>"


# Id, name, role, kind, sublattice, members, beside which defects, intensity ratio.
_Row = tuple[int, str, str, str, int, int, tuple[int, ...], float | None]


def _class(row: _Row) -> MotifClass:
    class_id, name, role, kind, sublattice, n_members, beside, ratio = row
    return MotifClass(class_id, name, name, False, role, kind, sublattice, n_members, beside, ratio)


_ROWS: tuple[_Row, ...] = (
    (1, "W", "pristine", "none", 0, 1100, (), 1.0),
    (2, "S2", "pristine", "none", 1, 1000, (), 1.0),
    (3, "one S missing", "defect", "deficit", 1, 40, (), 0.512),
    (4, "both S missing", "defect", "vacancy", 1, 12, (), 0.021),
    (5, "lighter metal", "defect", "deficit", 0, 30, (), 0.31),
    (6, "W beside one S missing", "neighbour", "none", 0, 90, (3,), 0.98),
    (7, "brighter chalcogen", "proposed", "excess", 1, 8, (), None),
)
CLASSES = tuple(_class(row) for row in _ROWS)


def made_up_model(classes: tuple[MotifClass, ...] = CLASSES, seed: int = 3) -> MotifModel:
    """A model with a bump for each class, and a layout with a knot for each."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((33, 33)) - 16
    inside = np.hypot(y, x) <= 16
    bump = np.exp(-(y**2 + x**2) / 40)
    height = np.linspace(1.0, 0.1, len(classes))[:, None, None]
    n = np.array([max(8, min(400, one.n_members)) for one in classes])
    sample = np.append(np.repeat(np.arange(len(classes)), n), [-1] * 9)
    middle = rng.uniform(-10, 10, (len(classes) + 1, 2))
    layout = middle[sample] + rng.normal(0, 0.6, (len(sample), 2))
    errors = 0.02 * rng.random((len(classes), 33, 33)) * inside
    return MotifModel(
        basis_px_yx=np.array([[0.0, 32.0], [32.0, 0.0]]),
        columns=CellColumns(
            np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([1.0, 0.5]), 4.5, 20.0, 32.0
        ),
        shape=PatchShape(1, 16.0, 10),
        pristine=Pristine(np.zeros((2, 66)), np.zeros((2, 36))),
        pca_mean=np.zeros(36),
        pca_matrix=np.zeros((36, 5)),
        classes=classes,
        means=np.zeros((len(classes), 5)),
        covariances=np.tile(np.eye(5), (len(classes), 1, 1)),
        noise_covariance=np.eye(5),
        feature_means=np.zeros((len(classes), 36)),
        patches=(height * bump * inside).astype(np.float32),
        patch_errors=errors.astype(np.float32),
        reject_chi2=20.5,
        sample_z=np.zeros((len(sample), 5), np.float32),
        sample_class=sample,
        layout_yx=layout.astype(np.float32),
        next_id=1 + max(one.class_id for one in classes),
        n_sites=2345,
        n_frames=3,
    )


def made_up_frame(
    model: MotifModel, side_px: int = 512, period_px: float = 32.0, seed: int = 4
) -> tuple[NDArray[np.float32], MotifView]:
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
    probability = np.where(class_id < 0, np.nan, 0.97)
    noisy = image + rng.normal(0, 0.08, image.shape)
    view = MotifView(places, class_id, probability, address, model)
    return noisy.astype(np.float32), view


def renamed(model: MotifModel, class_id: int, name: str) -> MotifModel:
    """The model with another name for a class."""
    classes = tuple(
        replace(one, name=name, automatic_name=one.name, named_by_user=True)
        if one.class_id == class_id
        else one
        for one in model.classes
    )
    return replace(model, classes=classes)


def made_up_event(sites: MotifView, shape_yx: tuple[int, int], *, nm: bool = True) -> DefectEvent:
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
