"""The classes of a motif model as the page shows them: layout, averages, table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.motif_page_labels import spread_labels
from latticewatch.daemon.motif_page_looks import UNSCORED_LOOK, Look, looks_of, outline_of
from latticewatch.daemon.motif_page_pictures import (
    ERROR_COLOURS,
    MEAN_COLOURS,
    limits_of,
    patch_url,
    scale_url,
)
from latticewatch.detectors.motifs.model import MotifClass, MotifModel

LAYOUT_SIDE = 400.0  # units of the drawing
_LAYOUT_RIM = 14.0
_LAYOUT_MARK = 4.2  # radius of a defect
_CHIP_MARK = 6.5
MOST_OVER_PRISTINE = 1.4  # chosen: more, and one heavy atom leaves all other averages black
MOST_OVER_USUAL = 3.0  # of errors, chosen alike

NEW_NAME = "new"


@dataclass(frozen=True, slots=True)
class Layer:
    """Sites that are drawn alike.

    Attributes
    ----------
    key
        Names the class among all of the page.
    name
        Of the class.
    look, path
        How, and the `d` of the SVG path.
    label, label_yx
        What stands beside them, and where; empty for nothing.
    """

    key: str
    name: str
    look: Look
    path: str
    label: str = ""
    label_yx: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class as a row of the table, and as a card.

    Attributes
    ----------
    key
        Names it among all classes of the page.
    of
        The class.
    look, chip
        How its sites are drawn, and the path of one of them for a legend.
    ratio
        Its intensity over that of pristine sites, in words; empty where it has none.
    error
        Largest standard error of its average, in words.
    beside
        The defects it stands beside: key and name.
    mean_url, error_url
        Its average and the standard error of that.
    """

    key: str
    of: MotifClass
    look: Look
    chip: str
    ratio: str
    error: str
    beside: tuple[tuple[str, str], ...]
    mean_url: str
    error_url: str


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A model as the page shows it.

    Attributes
    ----------
    number
        From 0, in the order of the page.
    artifact, sha256
        As events call it.
    model
        The model.
    rows
        Its classes.
    layout
        Places of the sample, a layer for each class; empty where the model holds no layout.
    mean_scale, error_scale
        Picture of the colours, smallest, largest value.
    """

    number: int
    artifact: str
    sha256: str
    model: MotifModel
    rows: tuple[ClassRow, ...]
    layout: tuple[Layer, ...]
    mean_scale: tuple[str, str, str]
    error_scale: tuple[str, str, str]

    @property
    def by_id(self) -> dict[int, ClassRow]:
        """Rows by the number of their class."""
        return {row.of.class_id: row for row in self.rows}

    @property
    def n_components(self) -> int:
        """Numbers that are left of a patch."""
        return int(self.model.pca_matrix.shape[1])


def key_of(number: int, class_id: int) -> str:
    """Name a class among all classes of the page; 0 is new, -1 unscored.

    Examples
    --------
    >>> key_of(0, 12), key_of(1, -1)
    ('m0k12', 'm1x')
    """
    return f"m{number}k{class_id}" if class_id >= 0 else f"m{number}x"


def chip_of(look: Look) -> str:
    """Path of one mark for a legend, round the origin."""
    return outline_of(look.shape, [(0.0, 0.0)], _CHIP_MARK * max(look.size, 0.45))


def model_part(model: MotifModel, number: int, *, artifact: str, sha256: str) -> ModelPart:
    """Draw what the page shows of a model."""
    looks = looks_of(model.classes)
    mean_patches, error_patches = (
        np.where(model.disc, values, np.float32(np.nan))
        for values in (model.patches, model.patch_errors)
    )
    means, errors = _mean_limits(model, mean_patches), (0.0, _most_error(error_patches))
    cut_mean, cut_error = (
        " or more" if limits_of(values)[1] > limits[1] else ""
        for values, limits in ((mean_patches, means), (error_patches, errors))
    )
    names = {one.class_id: one.name for one in model.classes}
    rows = [
        ClassRow(
            key=key_of(number, one.class_id),
            of=one,
            look=looks[one.class_id],
            chip=chip_of(looks[one.class_id]),
            ratio=_ratio(model, k),
            error=f"{limits_of(error_patches[k])[1]:.2g}",
            beside=tuple(
                (key_of(number, other), names.get(other, f"class {other}"))
                for other in one.stands_beside
            ),
            mean_url=patch_url(mean_patches[k], means, MEAN_COLOURS),
            error_url=patch_url(error_patches[k], errors, ERROR_COLOURS),
        )
        for k, one in enumerate(model.classes)
    ]
    return ModelPart(
        number=number,
        artifact=artifact,
        sha256=sha256,
        model=model,
        rows=tuple(rows),
        layout=tuple(_layout(model, number, looks)),
        mean_scale=(
            scale_url(MEAN_COLOURS),
            f"{means[0]:.2g}",
            f"{means[1]:.2g}{cut_mean}",
        ),
        error_scale=(scale_url(ERROR_COLOURS), "0", f"{errors[1]:.2g}{cut_error}"),
    )


def _mean_limits(model: MotifModel, means: NDArray[np.float32]) -> tuple[float, float]:
    """Limits of the scale of all averages; of one that outshines pristine ones the top is cut."""
    low, high = limits_of(means)
    ordinary = [k for k, one in enumerate(model.classes) if one.role == "pristine"]
    if not ordinary:
        return low, high
    return low, min(high, MOST_OVER_PRISTINE * limits_of(means[ordinary])[1])


def _most_error(errors: NDArray[np.float32]) -> float:
    """Find the top of the scale of errors: of a class that is two in one the top is cut."""
    most = [limits_of(one)[1] for one in errors]
    return min(max(most), MOST_OVER_USUAL * float(np.median(most)))


def ratio_error(model: MotifModel, row: int) -> float:
    """Find the standard error of a class's intensity ratio, from that of its average.

    The ratio is that of the central column to a pristine one, so its error is that of a Gaussian of
    the column's width, fitted to the difference of two averages, over the height of the column. The
    noise of pixels is taken to be their own; that of the pristine average, of many more sites, is
    left out.

    Returns
    -------
    float
        NaN where the column has no height.
    """
    one, columns, errors = model.classes[row], model.columns, model.patch_errors[row]
    sigma_px = columns.sigma_px / model.shape.stride  # patches are of the binned frame
    y, x = np.indices(errors.shape) - (model.shape.side - 1) / 2
    bell = np.exp(-0.5 * (y**2 + x**2) / sigma_px**2)
    inside = model.disc & (np.hypot(y, x) <= max(2 * sigma_px, 1.5))
    height = float(columns.height[max(one.sublattice, 0)])
    if not height > 0:
        return float("nan")
    spread = np.sqrt(np.square(errors * bell)[inside].sum())
    return float(spread / np.square(bell[inside]).sum() / height)


def _ratio(model: MotifModel, row: int) -> str:
    one, error = model.classes[row], ratio_error(model, row)
    # A pristine class is what others are compared with.
    if one.intensity_ratio is None or one.role == "pristine" or not np.isfinite(error):
        return "" if one.intensity_ratio is None else f"{one.intensity_ratio:.3f}"
    return f"{one.intensity_ratio:.3f} ± {error:.3f}"


def _layout(model: MotifModel, number: int, looks: Mapping[int, Look]) -> list[Layer]:
    known = np.isfinite(model.layout_yx).all(axis=1)
    if not known.any():
        return []
    low, high = model.layout_yx[known].min(axis=0), model.layout_yx[known].max(axis=0)
    # Both axes by one factor: distances are what a layout tells.
    scale = (LAYOUT_SIDE - 2 * _LAYOUT_RIM) / max(float((high - low).max()), 1e-9)
    places = LAYOUT_SIDE / 2 + (model.layout_yx - (low + high) / 2) * scale
    layers = []
    for row in _drawing_order(model.classes):
        members = known & (model.sample_class == row)
        if row < 0:
            key, name, look = key_of(number, row), "in no class", UNSCORED_LOOK
        else:
            one = model.classes[row]
            key, name, look = key_of(number, one.class_id), one.name, looks[one.class_id]
        radius = _LAYOUT_MARK * max(look.size, 0.4)
        if members.any():
            path = outline_of(look.shape, places[members].tolist(), radius)
            label = "" if row < 0 else str(model.classes[row].class_id)
            y, x = np.median(places[members], axis=0).tolist()
            layers.append(Layer(key, name, look, path, label, (y, x)))
    return _with_labels_apart(layers)


def _with_labels_apart(layers: list[Layer]) -> list[Layer]:
    """Put each label beside the middle of its group; defects, drawn last, choose first."""
    told = [layer for layer in reversed(layers) if layer.label]
    places = spread_labels(
        [layer.label_yx for layer in told], [layer.label for layer in told], LAYOUT_SIDE
    )
    at = {layer.key: place for layer, place in zip(told, places, strict=True)}
    return [replace(layer, label_yx=at.get(layer.key, layer.label_yx)) for layer in layers]


def _drawing_order(classes: Sequence[MotifClass]) -> list[int]:
    """Rows, those that are in no class and pristine ones first, so that others lie over them."""
    last = {"pristine": 0, "neighbour": 1}
    return [-1, *sorted(range(len(classes)), key=lambda row: last.get(classes[row].role, 2))]
