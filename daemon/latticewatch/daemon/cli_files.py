"""Commands on recordings: fit a model without labels, analyze frames offline."""

from pathlib import Path
from typing import Annotated

import typer

from latticewatch.daemon.fit_options import (
    FITTED,
    detectors_to_fit,
    model_files,
    parameters_of,
    with_options,
)

Inputs = Annotated[
    list[Path],
    typer.Argument(
        help="TIFF, npy, npz, PNG or JPEG files, or folders of them; stacks are frames."
    ),
]


def register(app: typer.Typer) -> None:
    """Add this group to the program."""
    app.command("fit")(with_options(fit, FITTED.values()))
    app.command("analyze")(analyze)


def fit(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    detectors: Annotated[
        str, typer.Option(help=f"Whose models, commas between: {', '.join(FITTED)}.")
    ] = "patterson",
    **options: object,
) -> None:
    """Fit models to reference frames, without labels."""
    from latticewatch.daemon.fitting import FitProcess, check_output, gather_frames

    try:
        names, needless = detectors_to_fit(detectors)
    except ValueError as mistake:
        raise typer.BadParameter(str(mistake), param_hint="--detectors") from mistake
    for name in needless:
        typer.echo(f"{name} needs no model: nothing to fit for it", err=True)
    check_output(output)
    reference = gather_frames(inputs)
    with FitProcess() as fitter:
        for name, path in model_files(output, names).items():
            report = fitter.fit(
                reference, out=path, detector=name, parameters=parameters_of(name, options)
            )
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
