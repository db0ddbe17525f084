"""Zernike functions are those of the formula, discs those of linear interpolation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.zernike import (
    BasisKind,
    crop_discs,
    disc_basis,
    disc_values,
    invariants,
    n_invariants,
    zernike_terms,
)
from reference import zernike as slow
from support.images import broken_images, images, random_image

COORDINATES = st.one_of(
    st.floats(-3.0, 14.0), st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 2.5, 3.0, -0.5])
)
SMALL = disc_basis(5, n_max=2)


def on_square(
    offsets_yx: NDArray[np.int64], values: NDArray[np.floating], side: int
) -> NDArray[np.float64]:
    """Lay the values of a disc onto its square: (T, side, side), zero outside."""
    square = np.zeros((len(values), side, side))
    square[:, offsets_yx[:, 0] + side // 2, offsets_yx[:, 1] + side // 2] = values
    return square


def cropped(
    image: NDArray[np.float32],
    place: tuple[float, float],
    offsets_yx: NDArray[np.int64] = SMALL.offsets_yx,
) -> tuple[NDArray[np.float32], bool]:
    out = np.full((1, len(offsets_yx)), np.nan, np.float32)
    scored = np.zeros(1, np.bool_)
    crop_discs(image, np.array([place]), offsets_yx, out, scored)
    return out[0], bool(scored[0])


def invariants_of(moments: NDArray[np.floating]) -> NDArray[np.float32]:
    out = np.empty((len(moments), n_invariants(moments.shape[1])), np.float32)
    invariants(np.ascontiguousarray(moments, np.float32), out)
    return out


def moduli(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([slow.invariants(row) for row in moments])


def test_order_ten_has_66_terms_and_36_invariants() -> None:
    terms = zernike_terms(10)
    assert len(terms) == 66
    assert n_invariants(66) == 36
    assert [(n * (n + 2) + m) // 2 for n, m in terms] == list(range(66))


@pytest.mark.parametrize("side", [8, 9, 32, 33])
def test_package_basis_is_the_formula(side: int) -> None:
    offsets, values = disc_values(side, kind="package")
    square = on_square(offsets, values, side)
    for term, (n, m) in enumerate(zernike_terms(10).tolist()):
        np.testing.assert_allclose(square[term], slow.package_square(side, n, m), atol=1e-12)


@pytest.mark.parametrize(
    ("side", "lowest", "highest", "largest"),
    [
        (32, 0.72, 0.92, 0.26),
        (33, 0.73, 0.98, 0.12),
        (64, 0.86, 0.96, 0.12),
        (128, 0.95, 0.99, 0.04),
    ],
)
def test_package_basis_is_not_orthonormal(
    side: int, lowest: float, highest: float, largest: float
) -> None:
    _, values = disc_values(side, kind="package")
    gram = values @ values.T * (np.pi * side * side / 4)
    norms = np.sqrt(np.diag(gram))
    correlation = gram / np.outer(norms, norms) - np.eye(len(gram))
    # The published figures are rounded to two places.
    assert np.diag(gram).min() == pytest.approx(lowest, abs=0.0051)
    assert np.diag(gram).max() == pytest.approx(highest, abs=0.0051)
    assert np.abs(correlation).max() == pytest.approx(largest, abs=0.0051)


@pytest.mark.parametrize(
    ("side", "radius_px", "subsamples"), [(5, 2.0, 8), (7, 3.5, 3), (9, 3.3, 2)]
)
def test_area_basis_is_the_mean_over_each_pixel(
    side: int, radius_px: float, subsamples: int
) -> None:
    offsets, values = disc_values(side, n_max=4, radius_px=radius_px, subsamples=subsamples)
    square = on_square(offsets, values, side)
    for term, (n, m) in enumerate(zernike_terms(4).tolist()):
        expected = slow.area_square(side, n, m, radius_px, subsamples)
        np.testing.assert_allclose(square[term], expected, atol=1e-12)


def test_disc_holds_only_pixels_that_count() -> None:
    assert [len(disc_values(side, kind="package")[0]) for side in (32, 64, 128)] == [
        740,
        3096,
        12_644,
    ]
    area = disc_basis(33)
    assert (np.abs(area.values).max(axis=0) > 0).all()
    assert area.radius_px == 16.0


def test_moments_of_the_disc_are_those_of_the_whole_square() -> None:
    basis = disc_basis(33)
    frame = random_image(1, (40, 40))
    patch, scored = cropped(frame, (20.0, 19.0), basis.offsets_yx)
    whole = on_square(basis.offsets_yx, basis.values, 33)
    expected = (whole * frame[4:37, 3:36]).sum(axis=(1, 2))
    assert scored
    np.testing.assert_allclose(patch @ basis.values.T, expected, atol=1e-6)


def test_components_fold_into_the_basis() -> None:
    rng = np.random.default_rng(2)
    basis = disc_basis(17)
    patches = rng.normal(size=(20, basis.values.shape[1])).astype(np.float32)
    matrix = rng.normal(size=(5, 66)).astype(np.float32)
    folded = patches @ (matrix @ basis.values).T
    np.testing.assert_allclose(folded, (patches @ basis.values.T) @ matrix.T, atol=1e-5)


@pytest.mark.parametrize("kind", ["area", "package"])
def test_quarter_turns_and_mirrors_leave_the_moduli_alone(kind: BasisKind) -> None:
    offsets, values = disc_values(33, kind=kind)
    square = on_square(offsets, values, 33).reshape(66, -1)
    patch = np.random.default_rng(3).normal(size=(33, 33))
    seen = [np.rot90(patch, turns) for turns in range(4)]
    seen += [patch[::-1], patch[:, ::-1], patch.T]
    found = moduli(np.stack([view.ravel() for view in seen]) @ square.T)
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-10)


@given(arrays(np.float32, (3, 15), elements=st.floats(-100, 100, width=32)))
def test_invariants_agree_with_the_definition(moments: NDArray[np.float32]) -> None:
    expected = moduli(moments.astype(np.float64))
    np.testing.assert_allclose(invariants_of(moments), expected, rtol=1e-6, atol=1e-6)


def test_round_functions_keep_their_sign() -> None:
    basis = disc_basis(9, n_max=2)
    bump = basis.values[4]  # n = 2, m = 0: a ring round a hole
    found = invariants_of(np.stack([bump, -bump]) @ basis.values.T)
    assert found[0, 2] == -found[1, 2] > 0


@given(broken_images(), st.tuples(COORDINATES, COORDINATES))
def test_disc_agrees_with_the_definition(
    image: NDArray[np.float32], place: tuple[float, float]
) -> None:
    disc, scored = cropped(image, place)
    with np.errstate(all="ignore"):
        expected = slow.crop_disc(image, place, SMALL.offsets_yx)
    if not scored:
        assert not disc.any()
        assert expected is None or not np.isfinite(image).all() or np.abs(image).max() > 1e38
        return
    assert expected is not None
    near = image[np.isfinite(image)]
    np.testing.assert_allclose(disc, expected, atol=1e-6 * max(1.0, float(np.abs(near).max())))


@given(images(), st.tuples(COORDINATES, COORDINATES))
def test_disc_is_scored_exactly_where_it_fits(
    image: NDArray[np.float32], place: tuple[float, float]
) -> None:
    _, scored = cropped(image, place)
    fits = all(2 <= at <= side - 3 for at, side in zip(place, image.shape, strict=True))
    assert scored == fits


def test_disc_up_to_the_last_pixel_is_whole() -> None:
    image = random_image(4, (5, 5))
    disc, scored = cropped(image, (2.0, 2.0))
    at = SMALL.offsets_yx + 2
    assert scored
    np.testing.assert_array_equal(disc, image[at[:, 0], at[:, 1]])


def test_pixel_without_a_share_may_be_broken() -> None:
    image = random_image(8, (7, 7))
    image[5, :] = image[:, 5] = np.nan
    assert cropped(image, (2.0, 2.0))[1]
    assert not cropped(image, (2.1, 2.0))[1]
    assert not cropped(image, (2.0, 2.1))[1]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_broken_pixel_takes_its_own_sites_only(broken: float) -> None:
    image = random_image(5, (20, 30))
    image[10, 8] = broken
    places = np.array([[10.2, 9.1], [10.2, 20.0]])
    out, scored = np.empty((2, len(SMALL.offsets_yx)), np.float32), np.empty(2, np.bool_)
    crop_discs(image, places, SMALL.offsets_yx, out, scored)
    assert scored.tolist() == [False, True]
    assert not out[0].any()
    assert np.isfinite(out).all()


def test_no_sites_are_no_error() -> None:
    out, scored = np.empty((0, len(SMALL.offsets_yx)), np.float32), np.empty(0, np.bool_)
    crop_discs(random_image(6, (9, 9)), np.empty((0, 2)), SMALL.offsets_yx, out, scored)
    assert invariants_of(np.empty((0, 66))).shape == (0, 36)


@pytest.mark.parametrize(
    ("side", "radius_px", "n_max"), [(32, None, 10), (1, None, 10), (9, 4.6, 10), (9, None, 31)]
)
def test_disc_that_cannot_be_is_refused(side: int, radius_px: float | None, n_max: int) -> None:
    with pytest.raises(ValueError, match="must"):
        disc_basis(side, radius_px=radius_px, n_max=n_max)


def test_wrong_shapes_are_refused() -> None:
    image, places = random_image(7, (9, 9)), np.array([[4.0, 4.0]])
    with pytest.raises(ValueError, match="disc"):
        crop_discs(
            image, places, SMALL.offsets_yx, np.empty((1, 3), np.float32), np.empty(1, np.bool_)
        )
    with pytest.raises(ValueError, match="moments"):
        invariants_of(np.empty((1, 7)))


def motif(side: int, angle_deg: float, removed: float = 0.0) -> NDArray[np.float64]:
    """Metal of WS2, its three neighbours and the six beyond, turned; part of a neighbour away."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    shells = [(0.0, 0.0, 1, 1.0), (0.36, 0.0, 3, 0.5), (0.62, 30.0, 6, 1.0)]
    image = np.zeros((side, side))
    for radius, first_deg, n_columns, height in shells:
        for column in range(n_columns):
            angle = np.radians(angle_deg + first_deg + 360 * column / n_columns)
            gap = np.hypot(y - radius * side * np.sin(angle), x - radius * side * np.cos(angle)) / (
                0.09 * side
            )
            left = 1 - removed if radius == 0.36 and column == 0 else 1
            image += left * height * np.exp(-0.5 * gap**2)
    return image


def rotation_error(side: int, kind: BasisKind) -> float:
    """Spread of the moduli over lattice angles, over the change by half a neighbour."""
    offsets, values = disc_values(side, kind=kind)
    square = on_square(offsets, values, side).reshape(len(values), -1)
    angles = np.arange(0.0, 117.0, 4.0)
    whole = moduli(np.stack([motif(side, angle).ravel() for angle in angles]) @ square.T)
    half = moduli(np.stack([motif(side, angle, 0.5).ravel() for angle in angles]) @ square.T)
    change = np.linalg.norm((half - whole).mean(axis=0))
    return float(np.sqrt(whole.var(axis=0).sum()) / change)


@pytest.mark.parametrize(("side", "largest"), [(33, 0.015), (65, 0.004)])
def test_area_basis_turns_with_the_motif(side: int, largest: float) -> None:
    error = rotation_error(side, "area")
    assert error <= largest
    # Why it is the default: values at the middle of each pixel turn far worse.
    assert rotation_error(side, "package") > 2.5 * error
