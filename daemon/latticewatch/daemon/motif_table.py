"""The classes of a motif model as a person reads and names them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from latticewatch.daemon.model_reading import PRETRAINED, read_model
from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.motifs.model import DETECTOR, MotifModel

__all__ = ["class_lines", "read_classes", "rename_classes"]

_HEADINGS: Final = ("id", "name", "role", "n", "ratio", "stands beside")


def read_classes(name: str) -> MotifModel:
    """Read a model by path or as `pretrained:NAME`; raises ModelError if it is none of motifs."""
    return MotifModel.from_artifact(read_model(name), name)


def class_lines(model: MotifModel) -> list[str]:
    """List the classes, one a line, under a line of headings."""
    names = {one.class_id: one.name for one in model.classes}
    rows = [
        (
            str(one.class_id),
            one.name,
            one.role,
            str(one.n_members),
            "" if one.intensity_ratio is None else f"{one.intensity_ratio:.2f}",
            ", ".join(names.get(other, str(other)) for other in one.stands_beside),
        )
        for one in model.classes
    ]
    widths = [max(len(row[k]) for row in (_HEADINGS, *rows)) for k in range(len(_HEADINGS))]
    right = {0, 3, 4}  # numbers
    return [
        "  ".join(
            cell.rjust(width) if k in right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (_HEADINGS, *rows)
    ]


def rename_classes(path: str, renames: Sequence[str]) -> MotifModel:
    """Name classes in a model file; all else in it stays.

    Parameters
    ----------
    path
        Of the file.
    renames
        ID=NAME each.

    Raises
    ------
    ValueError
        One is not of this form, the id is unknown, or the name is none; the file stays as it was.
    ModelError
        The file is no model of motifs.
    """
    if path.startswith(PRETRAINED):
        raise ValueError(f"{path} is shipped: name the classes of a file of yours")
    artifact = read_model(path)
    model = MotifModel.from_artifact(artifact, path)
    for class_id, name in _parsed(renames, model):
        model = model.renamed(class_id, name)
    _write(Path(path), artifact, model)
    return model


def _parsed(renames: Sequence[str], model: MotifModel) -> list[tuple[int, str]]:
    known = [one.class_id for one in model.classes]
    named: list[tuple[int, str]] = []
    for text in renames:
        number, equals, name = text.partition("=")
        if not equals or not number.strip().isdecimal():
            raise ValueError(f"{text!r:.80}: expected ID=NAME")
        class_id = int(number)
        if class_id not in known:
            ids = ", ".join(map(str, known))
            raise ValueError(f"{text!r:.80}: no class has the id {class_id}, there are {ids}")
        if class_id in [one for one, _ in named]:
            raise ValueError(f"{text!r:.80}: class {class_id} is named twice")
        named.append((class_id, name))
    return named


def _write(path: Path, artifact: Artifact, model: MotifModel) -> None:
    # What the fit noted of itself is in the header beside what the model reads.
    header = {**artifact.header, **model.header()}
    write_artifact(path, detector=DETECTOR, header=header, arrays=artifact.arrays)
