"""Which detectors `latticewatch fit` makes a model for, and the options that each of them has.

A detector that learns to be fitted adds one entry to `FITTED`, and one to the table of the process
that fits. Its options become options of the command; one that two detectors share is declared in
the same way by both.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

Parameters = dict[str, Any]  # Any: JSON
FitOptions = Callable[..., Parameters]
"""Takes the options of one detector by name; gives the parameters of its fit."""

NEEDS_NO_MODEL = ("reference_cell", "domains")


class Features(StrEnum):
    """What a model of scheme one looks at."""

    PATTERSON = "patterson"
    PIXELS = "pixels"


class Image(StrEnum):
    """What a model of scheme one takes them from."""

    FRAME = "frame"
    COLUMNS = "columns"


class ColumnPolarity(StrEnum):
    """Whether columns are bright or dark."""

    AUTO = "auto"
    BRIGHT = "bright"
    DARK = "dark"


Polarity = Annotated[
    ColumnPolarity,
    typer.Option(help="Columns are bright or dark; auto: by file name (HAADF, BF), or frame."),
]
AsPublished = Annotated[
    bool,
    typer.Option(
        "--as-published",
        help="As in the paper. patterson: extrema, no trimming, nu at a knee; vae: its rule and "
        "kind of network on tiles of 64 pixels.",
    ),
]


class GateNetwork(StrEnum):
    """What a gate learns its features from."""

    LITE0 = "lite0"
    VGG16 = "vgg16"


Seed = Annotated[
    int,
    typer.Option(
        help="vae, symmetry, motifs: start of the random numbers; 0: the default one.", min=0
    ),
]


class Route(StrEnum):
    """How classes of motifs are proposed."""

    AUTO = "auto"
    DENSITY = "density"
    LAYOUT = "layout"


class Scorer(StrEnum):
    """What a model of the autoencoder holds."""

    BOTH = "both"
    PCA = "pca"


def patterson_options(
    *,
    features: Annotated[
        Features,
        typer.Option(help="What is looked at; pixels are better on doped crystals as they are."),
    ] = Features.PATTERSON,
    image: Annotated[
        Image,
        typer.Option(help="columns, for doped crystals: the frame redrawn with all columns alike."),
    ] = Image.FRAME,
    polarity: Polarity = ColumnPolarity.AUTO,
    as_published: AsPublished = False,
) -> Parameters:
    """Parameters of a fit of scheme one that differ from its defaults."""
    parameters: Parameters = {"features": features.value, "image": image.value}
    return parameters | _shared(polarity, as_published)


class Network(StrEnum):
    """Of the published mode."""

    SMALL = "small"
    PAPER = "paper"


def vae_options(  # noqa: PLR0913 - one for each option
    *,
    scorer: Annotated[
        Scorer,
        typer.Option(help="vae: the network and the PCA residual, or pca alone, without torch."),
    ] = Scorer.BOTH,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="vae: at most so many rounds of each of its three trainings; they stop early.",
            min=1,
        ),
    ] = None,
    network: Annotated[
        Network,
        typer.Option(
            help="vae as published: the paper's network (four minutes for 1000 windows), or a "
            "small one of the same kind, whose verdicts are as good (two)."
        ),
    ] = Network.SMALL,
    seed: Seed = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="vae: keeps the trainings after each round, in files of this name and .lower, "
            ".upper, .all; those of the same frames and settings that were stopped go on."
        ),
    ] = None,
    polarity: Polarity = ColumnPolarity.AUTO,
    as_published: AsPublished = False,
) -> Parameters:
    """Parameters of a fit of the autoencoder that differ from its defaults."""
    parameters: Parameters = {"scorer": scorer.value, "seed": seed}
    if epochs is not None:
        parameters["epochs"] = epochs
    if checkpoint is not None:
        parameters["checkpoint"] = str(checkpoint.absolute())
    if network is not Network.SMALL:
        parameters["network"] = network.value
    return parameters | _shared(polarity, as_published)


def symmetry_options(
    *,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            help="symmetry: trains a gate by these: masks (0 lattice, 127 second domain, 255 "
            "defect), one for each frame, or one CSV with frame, y_px, x_px, label."
        ),
    ] = None,
    gate_network: Annotated[
        GateNetwork,
        typer.Option(help="symmetry: the network of the gate; vgg16, the paper's, needs weights."),
    ] = GateNetwork.LITE0,
    gate_weights: Annotated[
        Path | None,
        typer.Option(help="symmetry: file with the weights of VGG16 without its top."),
    ] = None,
    seed: Seed = 0,
    as_published: AsPublished = False,
) -> Parameters:
    """Parameters of a fit of the symmetry maps that differ from its defaults."""
    if as_published:
        raise ValueError(
            "symmetry as published is there to compare with (tests/accuracy/symmetry.py), and "
            "makes no model: leave --as-published out, or symmetry"
        )
    if (gate_network is GateNetwork.VGG16) != (gate_weights is not None):
        raise ValueError(
            "--gate-network vgg16 and --gate-weights FILE belong together: no weights of VGG16 "
            "ship with latticewatch"
        )
    if gate_weights is not None and not labels:
        raise ValueError("--gate-weights: a gate is trained by labels, name them with --labels")
    if gate_weights is None:
        return {"seed": seed}
    return {"seed": seed, "gate_weights": str(gate_weights.absolute())}


def motifs_options(
    *,
    route: Annotated[
        Route,
        typer.Option(
            help="motifs: classes by density, by the force layout (slower, for low dose), or auto."
        ),
    ] = Route.AUTO,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="motifs: the earlier model whose class ids and names are kept; without it, the "
            "file that is written over."
        ),
    ] = None,
    seed: Seed = 0,
    polarity: Polarity = ColumnPolarity.AUTO,
    as_published: AsPublished = False,
) -> Parameters:
    """Parameters of a fit of motif classes that differ from its defaults."""
    if as_published:
        raise ValueError(
            "motifs as published are there to compare with (tests/accuracy/motifs.py), and make "
            "no model: leave --as-published out, or motifs"
        )
    parameters: Parameters = {}
    if route is not Route.AUTO:
        parameters["route"] = route.value
    if keep is not None:
        parameters["keep"] = str(keep.absolute())
    if seed:
        parameters["seed"] = seed
    return parameters | _shared(polarity, as_published)


def _shared(polarity: ColumnPolarity, as_published: bool) -> Parameters:
    parameters: Parameters = {}
    if polarity is not ColumnPolarity.AUTO:
        parameters["polarity"] = polarity.value
    if as_published:
        parameters["preset"] = "as_published"
    return parameters


FITTED: dict[str, FitOptions] = {
    "patterson": patterson_options,
    "vae": vae_options,
    "symmetry": symmetry_options,
    "motifs": motifs_options,
}

LABELLED = ("symmetry",)
"""Those that can learn from labels, too."""


def labels_among(names: Sequence[str], given: dict[str, object]) -> list[Path]:
    """Files of labels among the options; ValueError where nobody who is fitted reads labels."""
    files = given.get("labels")
    if not isinstance(files, list) or not files:
        return []
    if not set(names) & set(LABELLED):
        raise ValueError(f"only {', '.join(LABELLED)} learns from labels: add it to --detectors")
    return list(files)


def detectors_to_fit(text: str) -> tuple[list[str], list[str]]:
    """Names with commas between: those to fit, and those that need no model.

    Raises
    ------
    ValueError
        A name is unknown, or there is nothing to fit; the message says what can be.

    Examples
    --------
    >>> detectors_to_fit("patterson, domains")
    (['patterson'], ['domains'])
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = f"{', '.join(FITTED)} ({' and '.join(NEEDS_NO_MODEL)} need no model)"
    unknown = [name for name in names if name not in (*FITTED, *NEEDS_NO_MODEL)]
    if unknown or not names:
        raise ValueError(f"{text!r}: expected one or more of {known}, commas between")
    fitted = [name for name in names if name in FITTED]
    if not fitted:
        raise ValueError(f"{text!r}: nothing to fit, expected one or more of {known}")
    return fitted, [name for name in names if name in NEEDS_NO_MODEL]


def model_files(output: Path, names: Sequence[str]) -> dict[str, Path]:
    """Model file of each detector: the one that was named, or one beside it for each of several.

    Examples
    --------
    >>> [str(path) for path in model_files(Path("a/my.model"), ["patterson"]).values()]
    ['a/my.model']
    >>> [str(path) for path in model_files(Path("a/my.model"), ["patterson", "vae"]).values()]
    ['a/my.patterson.model', 'a/my.vae.model']
    """
    if len(names) == 1:
        return {names[0]: output}
    return {name: output.with_name(f"{output.stem}.{name}{output.suffix}") for name in names}


def parameters_of(name: str, given: dict[str, object]) -> Parameters:
    """Parameters of the fit of one detector, out of the options of all."""
    own = inspect.signature(FITTED[name]).parameters
    return FITTED[name](**{option: given[option] for option in own})


def with_options(
    command: Callable[..., None], sources: Iterable[FitOptions]
) -> Callable[..., None]:
    """Let a command that takes any keywords have the options of others, as typer reads them."""
    parameters = {
        name: parameter
        for function in (command, *sources)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }

    def run(**given: object) -> None:
        command(**given)

    run.__doc__ = command.__doc__
    run.__annotations__ = {name: entry.annotation for name, entry in parameters.items()}
    by_name = [entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in parameters.values()]
    run.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined] # PEP 362
    return run
