"""The published gate: VGG16's convolutions under a new head; needs torch and a local weight file.

After Dennler et al. and their program (methods/symmetry.md 2.3): 8192-1024-1024-512-2, dropout of
a half, Adam at 1e-5, batches of 8, the convolutions frozen unless told. It costs 64 times what the
default gate does, its file has 99 MB, and its weights do not ship. How far a tile is from those
that were learned is asked of the default's features, in the same graph.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latticewatch.detectors.onnx_writer import GraphWriter
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.gate import LOGITS, Gate, GateHeader
from latticewatch.detectors.symmetry.gate_augment import augmented
from latticewatch.detectors.symmetry.gate_export import Affine, add_affine, add_novelty, gate_of
from latticewatch.detectors.symmetry.gate_features import PREPARED, shipped_network
from latticewatch.detectors.symmetry.gate_fit import (
    THRESHOLD,
    GateFit,
    GateReport,
    checked_tiles,
    features_of,
)
from latticewatch.detectors.symmetry.gate_head import learn, novelty_limit
from latticewatch.detectors.symmetry.gate_input import SIDE_PX, TilePreparer
from latticewatch.detectors.symmetry.gate_metrics import (
    Metrics,
    measured,
    random_split,
    stratified_folds,
    summed_up,
)
from latticewatch.detectors.symmetry.vgg16_weights import CONVOLUTIONS, PublishedBase, read_base

_HEAD = (8192, 1024, 1024, 512, 2)
_DROPOUT = 0.5
_BLOCK = 8  # tiles at once through the convolutions
# Log-odds of torch and of onnxruntime, over the largest; float32 adds up in another order.
_PARITY = 1e-4
_NOVELTY_FOLDS = 5
_DEFECT = 0  # of the two classes, as in the published program


@dataclass(frozen=True, slots=True)
class PublishedGateSettings:
    """How the published gate is trained.

    Attributes
    ----------
    seed
        Of all random numbers.
    epochs, batch, learning_rate
        As published.
    n_jittered
        Copies of each tile beside its 16 exact ones.
    train_base
        Train the convolutions, too, as the paper says and its program does not: very slow.
    n_splits, held_out
        Of the metrics: one training for each, and one more for the gate.
    novelty_quantile
        Share of held-out tiles that are known.
    """

    seed: int = 0
    epochs: int = 60
    batch: int = 8
    learning_rate: float = 1e-5
    n_jittered: int = 0
    train_base: bool = False
    n_splits: int = 1
    held_out: float = 0.25
    novelty_quantile: float = 0.99


class Vgg16Gate(nn.Module):
    """Prepared tiles (B, 1, 128, 128) to two classes (B, 2), before the softmax.

    Parameters
    ----------
    base
        Published weights of the convolutions.
    """

    def __init__(self, base: PublishedBase) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for name, weight, bias in base.layers():
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            layer.weight.data = torch.from_numpy(weight.copy())
            layer.bias.data = torch.from_numpy(bias.copy())
            layers += [layer, nn.ReLU(inplace=True)]
            if CONVOLUTIONS[name].is_last:
                layers.append(nn.MaxPool2d(2))
        self.base = nn.Sequential(*layers)
        dense: list[nn.Module] = []
        for before, after in pairwise(_HEAD[:-1]):
            dense += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(_DROPOUT)]
        self.head = nn.Sequential(*dense, nn.Linear(_HEAD[-2], _HEAD[-1]))
        self.register_buffer("gain", torch.tensor(base.gain).view(1, 3, 1, 1))
        self.register_buffer("offset", torch.tensor(base.offset).view(1, 3, 1, 1))

    def seen(self, prepared: Tensor) -> Tensor:
        """Run the convolutions: (B, 8192)."""
        seen: Tensor = self.base(prepared * self.gain + self.offset).flatten(1)
        return seen

    def forward(self, prepared: Tensor) -> Tensor:
        """Two classes, the first of them the defect."""
        classes: Tensor = self.head(self.seen(prepared))
        return classes


def fit_published_gate(
    tiles: NDArray[np.generic],
    is_defect: NDArray[np.generic],
    weights: Path | None,
    settings: PublishedGateSettings | None = None,
) -> GateFit:
    """Fit the published gate on labelled tiles of one material; minutes to hours.

    Parameters
    ----------
    tiles, is_defect
        As for `gate_fit.fit_gate`.
    weights
        Local file with VGG16's convolutions: Keras' `..._notop.h5`, torch's `.pth`, or `.npz` with
        torch's names.

    Raises
    ------
    FitError
        No such file, one that holds something else, or too few tiles.
    """
    settings = settings or PublishedGateSettings()
    base = read_base(weights)
    kept, labels, warnings = checked_tiles(tiles, is_defect)
    rng = np.random.default_rng(settings.seed)
    copies = augmented(kept, rng, settings.n_jittered)
    prepared = _prepared(copies)
    metrics = _measure(base, prepared, labels, settings, rng)
    network = _trained(base, prepared, labels, settings)
    features = features_of(copies)
    n_folds = min(_NOVELTY_FOLDS, int(labels.sum()), int((~labels).sum()))
    folds = stratified_folds(labels, n_folds, rng)
    limit = novelty_limit(features, labels, folds, settings.novelty_quantile)
    novelty = learn(features, labels, 0.01).head(limit).novelty
    header = GateHeader(
        tile_px=kept.shape[-1],
        network="vgg16",
        threshold=THRESHOLD,
        novelty_quantile=settings.novelty_quantile,
        n_clean=int((~labels).sum()),
        n_defect=int(labels.sum()),
        n_dropped=0,
        provenance={
            "seed": settings.seed,
            "epochs": settings.epochs,
            "base_trained": settings.train_base,
            "base_sha256": base.sha256,
            "tiles_sha256": hashlib.sha256(kept.tobytes() + labels.tobytes()).hexdigest(),
        },
        metrics=metrics,
    )
    gate = Gate(_written(network, novelty, header))
    _refuse_other(network, gate, kept[:_BLOCK], prepared[:_BLOCK, 0])
    counted = (header.n_clean, header.n_defect, 0)
    warnings.append(f"the gate's file has {len(gate.network) / 1e6:.0f} MB")
    return GateFit(gate, GateReport(*counted, None, metrics, tuple(warnings)))


def _prepared(copies: NDArray[np.float32]) -> NDArray[np.float32]:
    """Prepare copies: (N, K, 1, 128, 128)."""
    flat = copies.reshape(-1, *copies.shape[2:])
    prepared = np.empty((len(flat), 1, SIDE_PX, SIDE_PX), np.float32)
    TilePreparer(copies.shape[-1]).prepare(flat, prepared)
    return prepared.reshape(*copies.shape[:2], 1, SIDE_PX, SIDE_PX)


def _trained(
    base: PublishedBase,
    prepared: NDArray[np.float32],
    labels: NDArray[np.bool_],
    settings: PublishedGateSettings,
) -> Vgg16Gate:
    torch.manual_seed(settings.seed)
    network = Vgg16Gate(base)
    shown = torch.from_numpy(prepared.reshape(-1, 1, SIDE_PX, SIDE_PX))
    classes = torch.from_numpy(np.where(labels, _DEFECT, 1 - _DEFECT).repeat(prepared.shape[1]))
    for parameter in network.base.parameters():
        parameter.requires_grad_(settings.train_base)
    # A frozen base sees each copy once: of its 8192 numbers the head is trained.
    taught: nn.Module = network if settings.train_base else network.head
    given = shown if settings.train_base else _seen(network, shown)
    learning = [one for one in network.parameters() if one.requires_grad]
    optimiser = torch.optim.Adam(learning, lr=settings.learning_rate)
    weight = 1.0 / torch.bincount(classes, minlength=2)
    surprise = nn.CrossEntropyLoss(weight=weight * len(classes) / 2)
    network.train()
    for _ in range(settings.epochs):
        for some in _batches(len(given), settings.batch):
            optimiser.zero_grad()
            surprise(taught(given[some]), classes[some]).backward()
            optimiser.step()
    network.eval()
    return network


def _batches(n: int, batch: int) -> Iterator[Tensor]:
    yield from torch.randperm(n).split(batch)


@torch.no_grad()
def _seen(network: Vgg16Gate, shown: Tensor) -> Tensor:
    return torch.cat([network.seen(some) for some in shown.split(_BLOCK)])


@torch.no_grad()
def _log_odds(network: Vgg16Gate, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
    shown = torch.from_numpy(np.ascontiguousarray(prepared))
    classes = torch.cat([network(some) for some in shown.split(_BLOCK)]).numpy()
    odds: NDArray[np.float32] = classes[:, _DEFECT] - classes[:, 1 - _DEFECT]
    return odds


def _measure(
    base: PublishedBase,
    prepared: NDArray[np.float32],
    labels: NDArray[np.bool_],
    settings: PublishedGateSettings,
    rng: np.random.Generator,
) -> Metrics:
    splits: list[Mapping[str, float]] = []
    for _ in range(settings.n_splits):
        taught, asked = random_split(labels, settings.held_out, rng)
        network = _trained(base, prepared[taught], labels[taught], settings)
        odds = _log_odds(network, prepared[asked, 0])
        # No overflow, however sure it is; a half and more is a defect.
        splits.append(measured(0.5 * (1.0 + np.tanh(0.5 * odds)), labels[asked], THRESHOLD))
    return summed_up(splits)


def _written(network: Vgg16Gate, novelty: Affine, header: GateHeader) -> bytes:
    graph = GraphWriter("gate")
    (features,) = graph.take_over(shipped_network())
    add_novelty(graph, features, novelty)
    gain, offset = (
        graph.constant(name, getattr(network, name).numpy()) for name in ("gain", "offset")
    )
    flow = graph.add("Add", graph.add("Mul", PREPARED, gain), offset)
    for number, layer in enumerate(network.base):
        if isinstance(layer, nn.Conv2d):
            weight = graph.constant(f"base.{number}.weight", layer.weight.detach().numpy())
            bias = graph.constant(f"base.{number}.bias", layer.bias.detach().numpy())
            flow = graph.add("Conv", flow, weight, bias, kernel_shape=[3, 3], pads=[1] * 4)
        elif isinstance(layer, nn.MaxPool2d):
            flow = graph.add("MaxPool", flow, kernel_shape=[2, 2], strides=[2, 2])
        else:
            flow = graph.add("Relu", flow)
    flow = graph.add("Flatten", flow)
    dense = [layer for layer in network.head if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(dense[:-1]):
        flow = graph.add("Relu", add_affine(graph, f"head.{number}", flow, _affine(layer)))
    last = _affine(dense[-1])
    apart = Affine(
        last.weight[_DEFECT : _DEFECT + 1] - last.weight[1 - _DEFECT],
        last.bias[_DEFECT : _DEFECT + 1] - last.bias[1 - _DEFECT],
    )
    add_affine(graph, "defect", flow, apart, to=LOGITS)
    return gate_of(graph, header)


def _affine(layer: nn.Linear) -> Affine:
    return Affine(layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())


def _refuse_other(
    network: Vgg16Gate, gate: Gate, tiles: NDArray[np.float32], prepared: NDArray[np.float32]
) -> None:
    """Compare the written gate with torch."""
    wanted = 0.5 * (1.0 + np.tanh(0.5 * _log_odds(network, prepared)))
    parity = float(np.abs(gate.judge(tiles).p_defect - wanted).max())
    if not parity <= _PARITY:
        raise FitError(f"the exported network judges otherwise than torch, by {parity:.1e}")
