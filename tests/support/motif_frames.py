"""Streams of frames of a drawn specimen whose kinds of sites are known, and pipelines that name."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.loaded_motifs import LoadedMotifs
from latticewatch.daemon.models import ModelSet
from latticewatch.daemon.outcome import Outcome
from latticewatch.daemon.pipeline import Incoming, Pipeline, PipelineSettings
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.sights import Looker
from latticewatch.detectors.motifs.fit import fit
from latticewatch.detectors.motifs.model import MotifModel
from support.headers import T_NS
from support.headers import frame as frame_header
from support.motif_scenes import MotifScene, Recipe, motif_scene

Image = NDArray[np.float32]
SIDE_PX = 420
DOSE = 100.0


@lru_cache(maxsize=16)
def specimen(seed: int = 1, **recipe: object) -> MotifScene:
    """A specimen without noise: monolayer of a disulphide, unless told otherwise."""
    chosen = {"dose": 0.0, "side_px": SIDE_PX, "n_each": 8, "jitter_px": 0.15} | recipe
    return motif_scene(seed, Recipe(**chosen))  # type: ignore[arg-type]


def noisy(expected: Image, seed: int, dose: float = DOSE) -> Image:
    """A frame of a specimen, in counts."""
    dice = np.random.default_rng(seed)
    counts: Image = dice.poisson(dose * np.maximum(expected, 0.0)).astype(np.float32)
    return counts


def with_column(scene: MotifScene, site: int, share: float, image: Image | None = None) -> Image:
    """The specimen with another intensity at one site, given as a share of what it has."""
    whole = scene.image if image is None else image
    y, x = np.indices(whole.shape)
    place = scene.places_yx[site]
    squared = np.square(y - place[0]) + np.square(x - place[1])
    height = (1.0, 0.35)[int(scene.sublattice[site])]
    changed: Image = whole + np.float32((share - 1.0) * height) * np.exp(
        -squared / (2 * scene.sigma_px**2)
    ).astype(np.float32)
    return changed


def plain_site(scene: MotifScene, sublattice: int, seed: int = 0) -> int:
    """A pristine site well inside the frame and far from every defect."""
    is_defect = scene.kind >= 2
    apart = np.linalg.norm(scene.places_yx[:, None] - scene.places_yx[None, is_defect], axis=2).min(
        axis=1, initial=np.inf
    )
    size = scene.image.shape[0]
    inside = ((scene.places_yx > 60) & (scene.places_yx < size - 61)).all(axis=1)
    good = (scene.sublattice == sublattice) & (apart > 3 * scene.bond_px) & inside & ~is_defect
    return int(np.random.default_rng(seed).choice(np.flatnonzero(good)))


@lru_cache(maxsize=4)
def motif_model(seed: int = 101, kinds: tuple[str, ...] | None = None) -> MotifModel:
    """A model fitted to two frames of another specimen."""
    frames = [noisy(specimen(seed + k, kinds=kinds, angle_deg=20.0).image, k) for k in range(2)]
    return fit(frames)[0]


def loaded(
    model: MotifModel, *, follow: bool = False, propose_after: int | None = None
) -> LoadedMotifs:
    return LoadedMotifs(model, "drawn", "0" * 64, follow, propose_after)


def naming_pipeline(
    motifs: LoadedMotifs | None,
    *,
    pictures: bool = False,
    max_defects: int = 256,
    late: Sequence[Looker] = (),
) -> Pipeline:
    """The reference cell finds, motifs name."""
    return Pipeline(
        models=ModelSet(None, reference_cell=True, motifs=motifs),
        settings=PipelineSettings(pictures=pictures, max_defects=max_defects),
        clock=SystemClock(),
        late=late,
        leaves_late=[one.name for one in late],
    )


def judge(pipeline: Pipeline, image: Image, seq: int = 0, *, channel: str = "HAADF") -> Outcome:
    pixels = np.ascontiguousarray(image, "<f4")
    shape = (image.shape[0], image.shape[1])
    header = frame_header(shape_yx=shape, dtype="<f4", seq=seq, channel=channel)
    return pipeline.process(Incoming(header, pixels, t_recv_ns=T_NS))


def outcomes(pipeline: Pipeline, frames: Sequence[Image]) -> Iterator[Outcome]:
    for seq, image in enumerate(frames):
        yield judge(pipeline, image, seq)
