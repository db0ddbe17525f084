"""Fits the motifs of a crystal without labels: sites of frames in, kinds of sites out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from latticewatch.detectors.motifs.averages import mean_patches
from latticewatch.detectors.motifs.clusters import (
    Classes,
    ClusterSettings,
    Sample,
    find_classes,
)
from latticewatch.detectors.motifs.displacement import column_dipoles
from latticewatch.detectors.motifs.features import FeatureMaker
from latticewatch.detectors.motifs.gathering import Gathered, gather, reduced, reference_of
from latticewatch.detectors.motifs.keeping import carried_over
from latticewatch.detectors.motifs.layout import lay_out
from latticewatch.detectors.motifs.model import MotifClass, MotifModel
from latticewatch.detectors.motifs.naming import ClassName, ColumnScale, name_classes
from latticewatch.detectors.motifs.noise import Projection
from latticewatch.detectors.motifs.parameters import MotifParameters
from latticewatch.detectors.reference_rule import FitError

FEWEST_SITES = 30
_REJECT_BELOW = 1e-3  # motifs.md 3.1
_MOST_SHOWN = 3000  # sites in the layout of a report

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotifReport:
    """What a fit found out.

    Attributes
    ----------
    n_frames, n_sites
        Frames used, and sites with a patch in them.
    n_classes
        Kinds of sites.
    n_lone
        Sites of no class.
    route
        How classes were proposed: "density" or "layout".
    warnings
        What a person should know.
    lines
        The classes, one line each.
    """

    n_frames: int
    n_sites: int
    n_classes: int
    n_lone: int
    route: str
    warnings: tuple[str, ...]
    lines: tuple[str, ...]


def fit(
    frames: Sequence[NDArray[np.float32]],
    parameters: MotifParameters | None = None,
    labels: Sequence[str] | None = None,
    kept: MotifModel | None = None,
) -> tuple[MotifModel, MotifReport]:
    """Find the kinds of sites of a crystal.

    Parameters
    ----------
    frames : each (H, W)
        Finite. Of one crystal at one magnification, defects included: they are what is sorted.
    parameters
        The defaults, if not told.
    labels
        What messages call each frame.
    kept
        The model of an earlier fit, of which ids and names are kept where classes are the same.

    Raises
    ------
    FitError
        No frame shows a lattice, frames show different ones, fewer than thirty sites have room for
        a patch, or ids are used up.
    """
    parameters = parameters or MotifParameters()
    notes: list[str] = []
    reference = reference_of(frames, parameters, notes, labels)
    maker = FeatureMaker(reference.shape)
    found = gather(reference, maker, notes, labels)
    n_all = len(found.features)
    if n_all < FEWEST_SITES:
        raise FitError(
            f"{n_all} sites with room for a patch of {2 * reference.shape.reach_px:.0f} px, at "
            f"least {FEWEST_SITES} needed: give more or larger frames"
        )
    found = _at_most(found, maker, parameters)
    projection, sample = reduced(found, maker, parameters)
    classes = find_classes(sample, _settings(parameters))
    model = _model(found, found.patches(maker), (sample, classes, projection), parameters)
    model = carried_over(replace(model, n_sites=n_all), kept, notes)
    return model, _report(model, classes, notes)


def _settings(parameters: MotifParameters) -> ClusterSettings:
    return ClusterSettings(
        min_cluster_size=parameters.min_cluster_size,
        route=parameters.route,
        merge_distance=parameters.merge_distance,
        seed=parameters.seed,
    )


def _report(model: MotifModel, classes: Classes, notes: Sequence[str]) -> MotifReport:
    warnings = list(notes)
    if all(one.role == "pristine" for one in model.classes):
        warnings.append(
            "no class beside pristine sites: every defect will be called new; give frames with "
            "defects, five of a kind or more"
        )
    return MotifReport(
        n_frames=model.n_frames,
        n_sites=model.n_sites,
        n_classes=len(model.classes),
        n_lone=int((classes.labels < 0).sum()),
        route=classes.route,
        warnings=tuple(warnings),
        lines=tuple(_line(one) for one in model.classes),
    )


def _at_most(found: Gathered, maker: FeatureMaker, parameters: MotifParameters) -> Gathered:
    """Keep so many sites: half of them those farthest from ordinary, the others by chance."""
    n_sites = len(found.features)
    if n_sites <= parameters.most_sites:
        return found
    z = reduced(found, maker, parameters)[1].z
    distance2 = np.full(n_sites, np.inf)
    for label in np.unique(found.sublattice):
        off = z - np.median(z[found.sublattice == label], axis=0)
        distance2 = np.minimum(distance2, np.square(off).sum(axis=1))
    order = np.argsort(-distance2, kind="stable")
    half = parameters.most_sites // 2
    dice = np.random.default_rng(parameters.seed)
    rest = dice.choice(order[half:], parameters.most_sites - half, replace=False)
    return found.part(np.sort(np.concatenate([order[:half], rest])))


def _model(
    found: Gathered,
    cut: NDArray[np.float32],
    sorted_by: tuple[Sample, Classes, Projection],
    parameters: MotifParameters,
) -> MotifModel:
    sample, classes, projection = sorted_by
    columns = found.reference.columns
    patches, errors = mean_patches(cut, classes.labels)
    patches, errors = (np.nan_to_num(one, posinf=0.0) for one in (patches, errors))
    scale = ColumnScale(columns.height, columns.sigma_px / found.reference.shape.stride)
    dipoles = column_dipoles(cut, scale.sigma_px)
    names = name_classes(sample, classes.labels, patches, errors, scale, dipoles)
    shown = _shown(classes.labels, names, parameters.seed)
    rows = range(len(classes.means))
    return MotifModel(
        basis_px_yx=found.reference.basis_px_yx,
        columns=columns,
        shape=found.reference.shape,
        pristine=found.pristine,
        pca_mean=projection.mean,
        pca_matrix=projection.matrix,
        classes=tuple(
            _class(row + 1, name, int((classes.labels == row).sum()))
            for row, name in enumerate(names)
        ),
        means=classes.means,
        covariances=classes.covariances,
        noise_covariance=classes.noise_covariance,
        feature_means=np.stack(
            [found.features[classes.labels == row].mean(axis=0) for row in rows]
        ),
        patches=patches,
        patch_errors=errors,
        reject_chi2=float(chdtri(projection.matrix.shape[1], _REJECT_BELOW)),
        sample_z=sample.z[shown].astype(np.float32),
        sample_class=classes.labels[shown].astype(np.int64),
        layout_yx=lay_out(sample.z[shown], seed=parameters.seed).astype(np.float32),
        next_id=len(names) + 1,
        n_sites=len(found.features),
        n_frames=found.n_frames,
    )


def _class(class_id: int, name: ClassName, n_members: int) -> MotifClass:
    return MotifClass(
        class_id=class_id,
        name=name.automatic_name,
        automatic_name=name.automatic_name,
        named_by_user=False,
        role=name.role,
        kind=name.kind,
        sublattice=name.sublattice,
        n_members=n_members,
        stands_beside=tuple(row + 1 for row in name.stands_beside),
        intensity_ratio=float(name.intensity_ratio),
    )


def _shown(labels: NDArray[np.intp], names: Sequence[ClassName], seed: int) -> NDArray[np.intp]:
    """Rows of sites for the layout: those that are not pristine, and as many others as fit."""
    ordinary = {row for row, name in enumerate(names) if name.role == "pristine"}
    rare = np.array([label not in ordinary for label in labels.tolist()], bool)
    dice = np.random.default_rng(seed)
    strange, common = np.flatnonzero(rare), np.flatnonzero(~rare)
    strange = dice.permutation(strange)[: _MOST_SHOWN * 2 // 3]
    common = dice.permutation(common)[: _MOST_SHOWN - len(strange)]
    return np.sort(np.concatenate([strange, common]))


def _line(one: MotifClass) -> str:
    ratio = "" if one.intensity_ratio is None else f", intensity {one.intensity_ratio:.2f}"
    return f"class {one.class_id}: {one.name} ({one.role}), {one.n_members} sites{ratio}"
