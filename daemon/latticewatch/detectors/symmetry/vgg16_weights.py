"""VGG16's convolutions out of a local weight file; none ships and none is downloaded."""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError

Floats = NDArray[np.float32]
_MOST_BYTES = 2**30
# Channels of each block's convolutions.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# What prepared tiles (255 x - 127) / 128 are taken back from.
_GREY_GAIN, _GREY_OFFSET = 128.0, 127.0
# Keras: blue, green, red of 0 to 255 less the mean of ImageNet; torch: red, green, blue of 0 to 1,
# less their mean and over their standard deviation.
_KERAS_MEAN = (103.939, 116.779, 123.68)
_TORCH_MEAN, _TORCH_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Convolution:
    """One of the 13: what it is called in torch, its sides, and whether a pooling follows."""

    torch_name: str
    sides: tuple[int, int, int, int]
    is_last: bool


def _convolutions() -> dict[str, Convolution]:
    found, number, before = {}, 0, 3
    for block, widths in enumerate(_BLOCKS, start=1):
        for place, width in enumerate(widths, start=1):
            last = place == len(widths)
            sides = (width, before, 3, 3)
            found[f"block{block}_conv{place}"] = Convolution(f"features.{number}", sides, last)
            # A ReLU follows each, a pooling each block.
            number += 3 if last else 2
            before = width
    return found


CONVOLUTIONS = _convolutions()


@dataclass(frozen=True, slots=True)
class PublishedBase:
    """Weights of VGG16's convolutions, by their names in Keras.

    Attributes
    ----------
    weights, biases
        (out, in, 3, 3) and (out,).
    gain, offset : (3,)
        Prepared tiles times and plus these are what the first layer expects.
    sha256
        Of the file.
    """

    weights: Mapping[str, Floats]
    biases: Mapping[str, Floats]
    gain: Floats
    offset: Floats
    sha256: str

    def layers(self) -> Iterator[tuple[str, Floats, Floats]]:
        """Name, weight and bias of each convolution, the first first."""
        for name in CONVOLUTIONS:
            yield name, self.weights[name], self.biases[name]


def read_base(path: Path | None) -> PublishedBase:
    """Read a weight file.

    Parameters
    ----------
    path
        `.h5` as Keras publishes it without its top; torch's state as `.pth` or `.pt`; or `.npz`
        with the names of torch. Layers beyond the convolutions are not looked at.

    Raises
    ------
    FitError
        There is none, or it holds something else.
    """
    if path is None:
        raise FitError(
            "the published VGG16 gate needs a local weight file (Keras' vgg16 'notop' .h5, or "
            "torch's .pth or .npz): none was given, none ships, and none is downloaded; the "
            "default gate needs none"
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FitError(f"{path}: larger than {_MOST_BYTES} bytes, no weights of VGG16")
        content = path.read_bytes()
    except OSError as error:
        raise FitError(f"{path}: cannot be read: {error.strerror}") from error
    readers = {".h5": _of_keras, ".pth": _of_torch, ".pt": _of_torch, ".npz": _of_arrays}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise FitError(f"{path}: expected a file .h5, .pth, .pt or .npz")
    try:
        found = reader(content)
    except ImportError as error:
        raise FitError(f"{path}: needs the package {error.name}") from error
    # A damaged file makes the libraries raise nearly anything.
    except Exception as error:
        told = " ".join(f"{type(error).__name__} {error}".split())[:150]
        raise FitError(f"{path}: cannot be read as weights ({told})") from error
    return _checked(path, found, hashlib.sha256(content).hexdigest())


def _checked(path: Path, found: dict[str, Floats], sha256: str) -> PublishedBase:
    weights, biases = {}, {}
    for name, layer in CONVOLUTIONS.items():
        weight, bias = found.get(f"{name}.weight"), found.get(f"{name}.bias")
        told = [None if one is None else one.shape for one in (weight, bias)]
        if weight is None or bias is None or told != [layer.sides, layer.sides[:1]]:
            raise FitError(
                f"{path}: {name} has weight and bias of {told[0]} and {told[1]}, expected "
                f"{layer.sides} and {layer.sides[:1]}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise FitError(f"{path}: {name} holds NaN or infinity")
        weights[name], biases[name] = weight, bias
    mean, sd = (
        (_KERAS_MEAN, (1.0,) * 3)
        if path.suffix.lower() == ".h5"
        else ([255.0 * one for one in _TORCH_MEAN], [255.0 * one for one in _TORCH_SD])
    )
    gain = _GREY_GAIN / np.array(sd)
    offset = (_GREY_OFFSET - np.array(mean)) / np.array(sd)
    return PublishedBase(
        weights, biases, gain.astype(np.float32), offset.astype(np.float32), sha256
    )


def _of_keras(content: bytes) -> dict[str, Floats]:
    import h5py

    found: dict[str, Floats] = {}

    def take(name: str, node: Any) -> None:  # noqa: ANN401 - h5py has no types
        # Older files say block1_conv1/block1_conv1_W_1:0, newer ones block1_conv1/.../kernel:0.
        layer = re.search(r"block\d_conv\d", name)
        if layer is None or not isinstance(node, h5py.Dataset):
            return
        values = np.asarray(node[()], np.float32)
        if values.ndim == 4:
            turned = np.ascontiguousarray(values.transpose(3, 2, 0, 1))
            found[f"{layer.group()}.weight"] = turned
        elif values.ndim == 1:
            found[f"{layer.group()}.bias"] = values

    with h5py.File(io.BytesIO(content), "r") as stored:
        stored.visititems(take)
    return found


def _of_torch(content: bytes) -> dict[str, Floats]:
    from latticewatch.detectors.symmetry.network import read_state

    return _named({name: value.numpy() for name, value in read_state(content).items()})


def _of_arrays(content: bytes) -> dict[str, Floats]:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return _named({name: stored[name] for name in stored.files})


def _named(state: Mapping[str, NDArray[np.generic]]) -> dict[str, Floats]:
    """Arrays under the names of Keras."""
    return {
        f"{name}.{part}": np.ascontiguousarray(state[f"{layer.torch_name}.{part}"], np.float32)
        for name, layer in CONVOLUTIONS.items()
        for part in ("weight", "bias")
        if f"{layer.torch_name}.{part}" in state
    }
