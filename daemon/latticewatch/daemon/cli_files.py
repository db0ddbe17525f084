"""Commands on recordings: fit a model without labels, analyze frames offline."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

Inputs = Annotated[
    list[Path],
    typer.Argument(
        help="TIFF, npy, npz, PNG or JPEG files, or folders of them; stacks are frames."
    ),
]


class Features(StrEnum):
    """What a model of scheme one looks at."""

    PATTERSON = "patterson"
    PIXELS = "pixels"


class ColumnPolarity(StrEnum):
    """Whether columns are bright or dark."""

    AUTO = "auto"
    BRIGHT = "bright"
    DARK = "dark"


def register(app: typer.Typer) -> None:
    """Add this group to the program."""
    app.command("fit")(fit)
    app.command("analyze")(analyze)


def fit(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    method: Annotated[str, typer.Option(help="Which detector to fit.")] = "patterson",
    features: Annotated[
        Features,
        typer.Option(help="What is looked at; pixels are better on doped crystals as they are."),
    ] = Features.PATTERSON,
    polarity: Annotated[
        ColumnPolarity,
        typer.Option(help="Columns are bright or dark; auto: by file name (HAADF, BF), or frame."),
    ] = ColumnPolarity.AUTO,
    as_published: Annotated[
        bool,
        typer.Option("--as-published", help="As in the paper: extrema, no trimming, nu at a knee."),
    ] = False,
) -> None:
    """Fit a model to reference frames, without labels."""
    from latticewatch.daemon.fitting import FitProcess, check_output, gather_frames

    check_output(output)
    reference = gather_frames(inputs)
    parameters: dict[str, Any] = {"features": features.value}  # Any: JSON
    if polarity is not ColumnPolarity.AUTO:
        parameters["polarity"] = polarity.value
    if as_published:
        parameters["preset"] = "as_published"
    with FitProcess() as fitter:
        report = fitter.fit(reference, out=output, method=method, parameters=parameters)
    for warning in report.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(report.summary)


def analyze(
    inputs: Inputs,
    model: Annotated[
        Path | None,
        typer.Option(
            help="A fitted model file, or pretrained:NAME for a shipped one; "
            "else each input is its own reference."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Events as JSON lines; without it, or -, on standard output."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for a picture of each frame, defects marked.")
    ] = None,
    detectors: Annotated[
        str,
        typer.Option(help="Who looks, commas between: reference_cell, patterson, domains."),
    ] = "reference_cell,patterson,domains",
) -> None:
    """Find the defects of recorded frames with the daemon's own pipeline."""
    from latticewatch.daemon.offline import analyze_inputs
    from latticewatch.daemon.offline_pipeline import DETECTORS

    names = [name.strip() for name in detectors.split(",") if name.strip()]
    unknown = [name for name in names if name not in DETECTORS]
    if unknown or not names:
        raise typer.BadParameter(
            f"{detectors!r}: expected one or more of {', '.join(DETECTORS)}, commas between",
            param_hint="--detectors",
        )
    if names == ["domains"]:
        raise typer.BadParameter(
            "domains draws lines beside points: add reference_cell or patterson",
            param_hint="--detectors",
        )
    lines = None if out == Path("-") else out
    n_failed = analyze_inputs(inputs, model=model, out=lines, plot_folder=plot, detectors=names)
    if n_failed:
        raise typer.Exit(1)
