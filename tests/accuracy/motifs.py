"""Measures how well kinds of sites are recovered, beside t-SNE, UMAP and the published way.

    python tests/accuracy/motifs.py

Prints three tables and puts them into README.md. Drawn frames are those of methods/motifs.md 5.2;
the simulated ones lie beside the checkout, and their rows are left out where they do not. Takes
ten minutes, most of them in t-SNE.
"""

import os

# Before numpy reads it: the figures are the same, the processors are for others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN
from sklearn.manifold import TSNE

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from latticewatch.detectors.motifs.clusters import (  # noqa: E402 - the support of the tests first
    ClusterSettings,
    Sample,
    find_classes,
)
from latticewatch.detectors.motifs.features import FeatureMaker  # noqa: E402
from latticewatch.detectors.motifs.gathering import gather, reduced, reference_of  # noqa: E402
from latticewatch.detectors.motifs.layout import lay_out  # noqa: E402
from latticewatch.detectors.motifs.parameters import MotifParameters  # noqa: E402
from latticewatch.detectors.motifs.published import (  # noqa: E402
    PublishedSettings,
    find_motifs,
)
from support.motif_figures import (  # noqa: E402
    adjusted_rand,
    macro_recall,
    neighbour_vote,
    purity,
)
from support.motif_patches import LOW_DOSE, SceneSample, scene_sample  # noqa: E402
from support.motif_scenes import Recipe  # noqa: E402
from support.shared_data import DATA, shared_image  # noqa: E402
from support.simulated_kinds import kinds_of, simulated_truth  # noqa: E402

PAGE = Path(__file__).with_name("README.md")
DOSES = (200.0, 30.0, 12.0)
ANGLES_DEG = (7.0, 22.0, 37.0, 52.0)
PUBLISHED_SIDE = 32
TRUTH = DATA / "simulated" / "ws2_mono_A_truth.json"
SIMULATED = ("d1e4", "d5e4", "d2e5")
CLUSTER = 10  # sites, of clusters of a plane
DRAWN_HEAD = (
    "| drawn WS2, mean of 4 angles (least) | counts | ARI | macro recall | purity | classes |"
    " vote of 8 neighbours |\n|---|---|---|---|---|---|---|\n"
)
SIMULATED_HEAD = (
    "| simulated WS2, sites as detected | dose | kinds | ARI | macro recall | ARI, no defect in the"
    " second shell | classes |\n|---|---|---|---|---|---|---|\n"
)
CLAIM_HEAD = (
    "| same features, in the plane | counts | vote in t-SNE | in UMAP | in the layout | not in a"
    " plane | ARI of clusters of t-SNE | of UMAP | of the layout | default |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)
Labels = NDArray[np.intp]
Values = NDArray[np.float64]


def in_tsne(z: Values) -> Values:
    """Lay out by t-SNE (van der Maaten and Hinton, JMLR 9, 2579, 2008)."""
    return np.asarray(TSNE(random_state=48).fit_transform(z), np.float64)


def in_umap(z: Values) -> Values:
    """Lay out by UMAP (McInnes et al., arXiv:1802.03426)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        return np.asarray(UMAP(random_state=48, n_jobs=1).fit_transform(z), np.float64)


def clusters_of(plane: Values) -> Labels:
    """Clusters of density of a layout."""
    found = HDBSCAN(min_cluster_size=CLUSTER, copy=True).fit_predict(plane)
    return np.asarray(found, np.intp)


PLANES: dict[str, Callable[[Values], Values]] = {
    "t-SNE": in_tsne,
    "UMAP": in_umap,
    "layout": lay_out,
}


def own_vote(z: Values, kind: Labels) -> float:
    """Vote of the eight nearest, of sites of the other half: the mean of both halves."""
    odd = np.arange(len(kind)) % 2 == 1
    one, other = (z[odd], kind[odd]), (z[~odd], kind[~odd])
    return float(np.mean([neighbour_vote(one, other), neighbour_vote(other, one)]))


def drawn_rows() -> Iterator[str]:
    """Every way over the drawn frames."""
    for dose in DOSES:
        given = [scene_sample(int(a), Recipe(dose=dose, angle_deg=a)) for a in ANGLES_DEG]
        ways: dict[str, Callable[[SceneSample], tuple[Labels, Values | None]]] = {
            "default": lambda one: (find_classes(one.sample).labels, one.sample.z),
            "low-dose route": lambda one: (find_classes(one.sample, LOW_DOSE).labels, None),
            "t-SNE of the moduli + HDBSCAN": lambda one: _of_plane(one, in_tsne),
            "UMAP of the moduli + HDBSCAN": lambda one: _of_plane(one, in_umap),
            "layout of 5 principal components + HDBSCAN": lambda one: _of_plane(one, _plain_layout),
            "as published": _as_published,
        }
        for name, way in ways.items():
            rows = []
            for one in given:
                labels, z = way(one)
                kind, clean = one.kind[one.clean], one.clean
                vote = np.nan if z is None else own_vote(z[clean], kind)
                figures = [rate(kind, labels[clean]) for rate in (adjusted_rand, macro_recall)]
                rows.append((*figures, purity(kind, labels[clean]), labels.max() + 1, vote))
            mean, least = np.mean(rows, axis=0), np.min(rows, axis=0)
            cells = [f"{a:.3f} ({b:.3f})" for a, b in zip(mean[:3], least[:3], strict=True)]
            told = "-" if np.isnan(mean[4]) else f"{mean[4]:.3f}"
            yield _row((name, f"{dose:g}", *cells, f"{mean[3]:.1f}", told))


def _of_plane(one: SceneSample, plane: Callable[[Values], Values]) -> tuple[Labels, Values]:
    z = plane(one.described.features)
    return clusters_of(z), z


def _plain_layout(features: Values) -> Values:
    off = features - features.mean(axis=0)
    return lay_out(off @ np.linalg.svd(off, full_matrices=False)[2][:5].T)


def _as_published(one: SceneSample) -> tuple[Labels, Values | None]:
    settings = PublishedSettings(side=PUBLISHED_SIDE)
    found = find_motifs(one.scene.image, settings, one.scene.places_yx[one.sites])
    return found.labels, found.layout_yx if (found.labels >= 0).all() else None


def claim_rows() -> Iterator[str]:
    """The layout against t-SNE and UMAP, all of them on the components of the default."""
    for dose in DOSES:
        rows = []
        for angle_deg in ANGLES_DEG:
            one = scene_sample(int(angle_deg), Recipe(dose=dose, angle_deg=angle_deg))
            kind, clean = one.kind[one.clean], one.clean
            planes = [plane(one.sample.z) for plane in PLANES.values()]
            votes = [own_vote(z[clean], kind) for z in (*planes, one.sample.z)]
            labels = [*map(clusters_of, planes), find_classes(one.sample).labels]
            rows.append([*votes, *(adjusted_rand(kind, found[clean]) for found in labels)])
        mean = np.mean(rows, axis=0)
        yield _row(("drawn WS2", f"{dose:g}", *(f"{value:.3f}" for value in mean)))


def simulated_rows() -> Iterator[str]:
    """The multislice image at three doses, sites from its lattice."""
    for dose in SIMULATED:
        truth, entry = simulated_truth(dose)
        features, sample = _detected(shared_image(f"simulated/{entry['file']}"))
        kind, near, far = kinds_of(truth, entry, sample.places_yx)
        ways: dict[str, Callable[[], Labels]] = {
            "default": lambda s=sample: find_classes(s).labels,  # type: ignore[misc]
            "low-dose route": lambda s=sample: (
                find_classes(  # type: ignore[misc]
                    s, ClusterSettings(route="layout")
                ).labels
            ),
        }
        for name, plane in PLANES.items():
            ways[f"{name} of the moduli + HDBSCAN"] = lambda f=features, p=plane: clusters_of(p(f))  # type: ignore[misc]
        for name, way in ways.items():
            labels = way()
            figures = (
                adjusted_rand(kind[near], labels[near]),
                macro_recall(kind[near], labels[near]),
                adjusted_rand(kind[far], labels[far]),
            )
            cells = (f"{value:.3f}" for value in figures)
            yield _row((name, dose, str(len(np.unique(kind))), *cells, str(int(labels.max()) + 1)))


def _detected(image: NDArray[np.float32]) -> tuple[Values, Sample]:
    """Features of the sites of a frame's lattice, and what classes are found from."""
    parameters = MotifParameters()
    notes: list[str] = []
    reference = reference_of([image], parameters, notes, None)
    maker = FeatureMaker(reference.shape)
    found = gather(reference, maker, notes, None)
    return found.features, reduced(found, maker, parameters)[1]


def put(head: str, rows: str) -> None:
    """Replace the table with this head in the page; a page without it is left alone."""
    page = PAGE.read_text(encoding="utf-8")
    if head not in page:
        return
    before, after = page.split(head, 1)
    lines = after.split("\n")
    n_old = next(n for n, line in enumerate(lines) if not line.startswith("|"))
    PAGE.write_text(before + head + rows + "\n".join(lines[n_old:]), encoding="utf-8")


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Run what is named, or everything, print the tables, and put them into the page."""
    parts = {"drawn": (DRAWN_HEAD, drawn_rows), "claim": (CLAIM_HEAD, claim_rows)}
    if TRUTH.is_file():
        parts["simulated"] = (SIMULATED_HEAD, simulated_rows)
    for name in sys.argv[1:] or parts:
        head, rows = parts[name]
        sys.stdout.write(head)
        lines = []
        for line in rows():
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
        put(head, "".join(lines))


if __name__ == "__main__":
    main()
