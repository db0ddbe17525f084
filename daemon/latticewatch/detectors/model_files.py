"""What every model reads of its file, and refuses in one line."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.view import SiteRule

_LARGEST = float(np.finfo(np.float32).max)


def read_arrays(
    artifact: Artifact, where: str, axes: Mapping[str, int]
) -> dict[str, NDArray[np.generic]]:
    """Read arrays and check how many axes they have; ModelError if one is missing or odd."""
    arrays = {}
    for name, n_axes in axes.items():
        array = artifact.arrays.get(name)
        if array is None or array.ndim != n_axes or array.size == 0:
            shape = None if array is None else array.shape
            raise ModelError(f"{where}: array {name} has shape {shape}, expected {n_axes} axes")
        # Bytes are within, and there may be a hundred million of them.
        if array.dtype != np.uint8 and not np.abs(array.astype(np.float64)).max() <= _LARGEST:
            raise ModelError(f"{where}: array {name} holds a number beyond single precision")
        arrays[name] = array
    return arrays


def read_numbers(
    artifact: Artifact, where: str, names: Sequence[str], whole: Collection[str] = ()
) -> dict[str, float]:
    """Read numbers of a header, some of them whole; ModelError if one is missing or odd."""
    numbers: dict[str, float] = {}
    for name in names:
        value = artifact.header.get(name)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        fits = name not in whole or isinstance(value, int)
        if value is None or not plain or not fits or not abs(value) <= _LARGEST:
            kind = "a whole" if name in whole else "a finite"
            raise ModelError(f"{where}: {name} = {value!r:.40}, expected {kind} number")
        numbers[name] = float(value)
    return numbers


def rule_of(numbers: Mapping[str, float], arrays: Mapping[str, NDArray[np.generic]]) -> SiteRule:
    """How sites are found, from what `read_numbers` and `read_arrays` gave."""
    return SiteRule(
        smooth_sigma_px=numbers["smooth_sigma_px"],
        polarity=int(numbers["polarity"]),
        floor=numbers["floor"],
        min_distance_px=int(numbers["min_distance_px"]),
        basis_px_yx=arrays["basis_px_yx"].astype(np.float64),
        levels=(numbers["level_low"], numbers["level_high"]),
        contrast=int(numbers["contrast"]),
    )


def refuse_sizes(
    arrays: Mapping[str, NDArray[Any]], wanted: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Refuse arrays whose sizes disagree."""
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ModelError(
                f"{where}: array {name} has shape {arrays[name].shape}, expected {shape}"
            )


def refuse_broken(claims: Mapping[str, bool], where: str) -> None:
    """Refuse a model of which a claim does not hold."""
    broken = [claim for claim, holds in claims.items() if not holds]
    if broken:
        raise ModelError(f"{where}: not so: {'; '.join(broken)}")
