"""Commands on recordings: fit a model without labels, analyze frames offline."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from latticewatch.daemon.fit_options import (
    FITTED,
    LABELLED,
    detectors_to_fit,
    labels_among,
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
    app.command("classes")(classes)


def fit(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file to write.")],
    detectors: Annotated[
        str, typer.Option(help=f"Whose models, commas between: {', '.join(FITTED)}.")
    ] = "patterson",
    **options: object,
) -> None:
    """Fit models to reference frames; labels are for the gate of the symmetry maps alone."""
    from latticewatch.daemon.fit_labels import gather_labels
    from latticewatch.daemon.fit_progress import FitTeller
    from latticewatch.daemon.fitting import FitProcess, check_output
    from latticewatch.daemon.reference_frames import gather_frames

    with _naming("--detectors"):
        names, needless = detectors_to_fit(detectors)
    with _naming("options"):
        parameters = {name: parameters_of(name, options) for name in names}
    for name in needless:
        typer.echo(f"{name} needs no model: nothing to fit for it", err=True)
    check_output(output)
    checkpoint = options.get("checkpoint")
    if isinstance(checkpoint, Path):
        check_output(checkpoint)
    with _naming("--labels"):
        label_files = labels_among(names, options)
    reference = gather_frames(inputs)
    labelled = gather_labels(label_files, reference) if label_files else None
    with FitProcess() as fitter:
        for name, path in model_files(output, names).items():
            with FitTeller(name) as teller:
                report = fitter.fit(
                    reference,
                    out=path,
                    detector=name,
                    parameters=parameters[name],
                    labelled=labelled if name in LABELLED else None,
                    progress=teller.tell,
                )
            for warning in report.warnings:
                typer.echo(f"warning: {warning}", err=True)
            typer.echo(report.summary)
            for line in report.lines:
                typer.echo(line)


def analyze(  # noqa: PLR0913 - one for each option
    inputs: Inputs,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="A fitted model file, or pretrained:NAME for a shipped one, once for each "
            "detector that has one; else each input is its own reference."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Events as JSON lines; without it, or -, on standard output."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for a picture of each frame, defects marked.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="A page, as out.html, of the motif class of every site and defect; adds motifs to "
            "the detectors."
        ),
    ] = None,
    detectors: Annotated[
        str,
        typer.Option(
            help="Who looks, commas between: reference_cell, patterson, domains, vae, symmetry, "
            "motifs, which names what others find."
        ),
    ] = "reference_cell,patterson,domains",
    material: Annotated[
        str | None,
        typer.Option(
            help="What the specimen is: MoS2, graphene, ..., or a_pm[,b_pm[,angle_deg]] of its "
            "lattice as the image shows it; it gives the size of a pixel."
        ),
    ] = None,
    pixel_size_pm: Annotated[
        float | None,
        typer.Option(help="Side of a pixel in picometres, in place of what the file says."),
    ] = None,
) -> None:
    """Find the defects of recorded frames with the daemon's own pipeline."""
    from latticewatch.daemon.offline import analyze_inputs
    from latticewatch.daemon.offline_frames import check_pixel_size
    from latticewatch.daemon.offline_pipeline import (
        chosen_detectors,
        offline_settings,
        with_detectors,
        with_material,
        with_models,
    )
    from latticewatch.daemon.offline_results import Destination

    settings = offline_settings()
    with _naming("--detectors"):
        chosen = chosen_detectors(detectors)
        if report is not None and "motifs" not in chosen:
            typer.echo("motifs looks, too: the report is about what it says", err=True)
            chosen = chosen_detectors(f"{detectors},motifs")
        settings = with_detectors(settings, chosen)
    with _naming("--material"):
        settings = settings if material is None else with_material(settings, material)
    with _naming("--pixel-size-pm"):
        check_pixel_size(pixel_size_pm)
    with _naming("--model"):
        settings, to_fit = with_models(settings, model or [])
    n_failed = analyze_inputs(
        inputs,
        settings=settings,
        to_fit=to_fit,
        to=Destination(
            out=None if out == Path("-") else out,
            plot_folder=plot,
            page=report,
        ),
        pixel_size_pm=pixel_size_pm,
    )
    if n_failed:
        raise typer.Exit(1)


def classes(
    model: Annotated[
        str, typer.Argument(help="A file of motif classes, or pretrained:NAME for a shipped one.")
    ],
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=NAME", help="Name a class; the file is written anew."),
    ] = None,
) -> None:
    """List the motif classes of a model, and name them."""
    from latticewatch.daemon.motif_table import class_lines, read_classes, rename_classes

    with _naming("--rename"):
        read = rename_classes(model, rename) if rename else read_classes(model)
    for line in class_lines(read):
        typer.echo(line)


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """Let a value that is refused be a mistake in this option."""
    try:
        yield
    except ValueError as mistake:
        raise typer.BadParameter(str(mistake), param_hint=option) from mistake
