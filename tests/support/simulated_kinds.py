"""Kinds of sites of the simulated images, and which of them counts can tell apart."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from support.shared_data import DATA, shared_image

TOLD_APART = 4.0  # ideal signal to noise of two kinds: less is one kind
NEAR = 1.25  # distances of nearest columns, methods/motifs.md 5.2
Labels = NDArray[np.intp]
Judged = NDArray[np.bool_]


def simulated_truth(dose: str) -> tuple[dict[str, Any], dict[str, Any]]:  # Any: JSON
    """Truth of the simulated WS2, and its entry of one image; skips the test where it is absent.

    Parameters
    ----------
    dose
        As files call it: "d5e4".
    """
    path = DATA / "simulated" / "ws2_mono_A_truth.json"
    if not path.exists():
        pytest.skip(f"{path.name} lies beside the checkout and is not part of the project")
    truth = json.loads(path.read_text(encoding="utf-8"))
    (entry,) = (one for one in truth["images"] if one["file"].endswith(f"_{dose}.tif"))
    return truth, entry


def kinds_of(
    truth: dict[str, Any], entry: dict[str, Any], places_yx: NDArray[np.float64]
) -> tuple[Labels, Judged, Judged]:
    """Kind of each site, whether it is judged, and whether its second shell is sound as well.

    Parameters
    ----------
    truth, entry
        From `simulated_truth`.
    places_yx : (N, 2)
        Sites as detected.
    """
    sites = truth["sites"]
    names = np.where(np.array(sites["label"]) == "ok", sites["sub"], sites["label"])
    places = np.column_stack([entry["sites_y"], entry["sites_x"]])
    off_px, site = cKDTree(places).query(places_yx)
    assert off_px.max() < 3.0, "a detected site is none"
    counts_as = _told_apart(sites, names, float(entry["electrons_per_pixel"]))
    names = np.array([counts_as[name] for name in names])
    kind = np.unique(names, return_inverse=True)[1][site]
    pristine = np.isin(np.array(sites["label"])[site], ("ok", "Re_W"))
    broken = places_yx[~pristine]
    away = cKDTree(broken).query(places_yx, 2)[0]
    other_px = np.where(pristine, away[:, 0], away[:, 1])
    steps = np.sort(cKDTree(places).query(places, 8)[0], axis=1)
    first_px, second_px = np.median(steps[:, 1]), np.median(steps[:, 5])
    return kind.astype(np.intp), other_px > NEAR * first_px, other_px > NEAR * second_px


def _told_apart(sites: dict[str, Any], names: NDArray[np.str_], electrons: float) -> dict[str, str]:
    """What each kind counts as: the most frequent one that it cannot be told from.

    By the clean image: signal to noise of an observer who knows both templates and the place,
    sqrt(sum (a - b)^2 / ((a + b) / 2)) of their counts, out to the nearest columns.
    """
    clean = shared_image("simulated/ws2_mono_A_clean.tif").astype(np.float64) * electrons
    places = np.column_stack([sites["y"], sites["x"]])
    reach = round(float(np.median(cKDTree(places).query(places, 2)[0][:, 1])))
    inside = ((places > reach + 1) & (places < np.array(clean.shape) - reach - 2)).all(axis=1)
    grid = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = grid[:, np.hypot(*grid) <= reach].astype(np.float64)
    template = {}
    for name in np.unique(names):
        at = places[inside & (names == name)].T[:, :, None] + disc[:, None]
        template[name] = ndimage.map_coordinates(clean, at, order=3).mean(axis=0)
    frequent = sorted(template, key=lambda name: -int((names == name).sum()))
    out: dict[str, str] = {}
    for name in frequent:
        out[name] = name
        for other in frequent[: frequent.index(name)]:
            square = np.square(template[name] - template[other])
            noise = 0.5 * (template[name] + template[other])
            if np.sqrt((square / noise).sum()) <= TOLD_APART:
                out[name] = out[other]
                break
    return out
