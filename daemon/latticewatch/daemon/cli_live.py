"""Commands that stream: run, simulate, demo, watch."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

# As text: this package may not import the simulator. Unlike -m it tells what the user typed.
SIMULATE = (
    "import sys; from latticewatch.simulator.__main__ import main; "
    "sys.exit(main(prog='latticewatch simulate'))"
)


def register(app: typer.Typer) -> None:
    """Add this group to the program."""
    app.command("demo")(demo)
    app.command("run")(run)
    app.command(
        "simulate",
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            # --help goes on to the simulator, which knows its options.
            "help_option_names": [],
        },
    )(simulate)
    app.command("watch")(watch)


def run(
    config: Annotated[Path, typer.Argument(help="A settings file; `config init` writes one.")],
) -> None:
    """Watch one source: frames in, defect events out, until asked to stop."""
    from latticewatch.daemon.config import load_settings
    from latticewatch.daemon.models import model_mistakes
    from latticewatch.daemon.runtime import run_daemon

    raise typer.Exit(run_daemon(load_settings(config, model_mistakes=model_mistakes)))


def simulate(context: typer.Context) -> None:
    """Send frames of a simulated microscope whose defects are known (simulate --help)."""
    import os

    # In place of this process: signals and exit code are then the simulator's own.
    os.execv(  # noqa: S606 - our own module, no shell
        sys.executable, [sys.executable, "-c", SIMULATE, *context.args]
    )


def demo(  # noqa: PLR0913 - one argument per option of the command
    size: Annotated[str, typer.Option(help="Frame in px: N or HxW.")] = "512",
    fps: Annotated[float, typer.Option(help="Frames per second.", min=0.1, max=1000.0)] = 30.0,
    crystal: Annotated[str, typer.Option(help="mos2, srtio3 or zincblende.")] = "mos2",
    dose: Annotated[
        float | None, typer.Option(help="Electrons per square angstrom; default: the simulator's.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="End after this time; default: at Ctrl-C, headless 10.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated crystal and noise.", min=0)] = 1,
    detectors: Annotated[
        str | None,
        typer.Option(
            help="Who looks, commas between: reference_cell, patterson, domains, vae, "
            "symmetry, motifs; default: the daemon's."
        ),
    ] = None,
    headless: Annotated[bool, typer.Option(help="Without the live view.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Last line: one JSON object.")] = False,
) -> None:
    """See it work: simulator, daemon and client as three processes, judged by the truth."""
    from latticewatch.daemon.demo import run_demo
    from latticewatch.daemon.demo_setup import DemoSettings, parse_detectors, parse_size

    settings = DemoSettings(
        size_yx=parse_size(size),
        fps=fps,
        crystal=crystal,
        dose=dose,
        seconds=10.0 if seconds is None and headless else seconds,
        seed=seed,
        detectors=parse_detectors(detectors),
    )
    # Into a pipe nothing can be drawn.
    result = run_demo(settings, live=not headless and sys.stdout.isatty())
    typer.echo(json.dumps(result) if as_json else "\n".join(summary_lines(result)))


def summary_lines(result: dict[str, object]) -> list[str]:
    """Word the demo's result for people, one `name value` per line."""
    return [f"{name:<36}{value}" for name, value in result.items() if name != "settings"]


def watch(
    source: Annotated[str, typer.Argument(help="Name of the source.")] = "haadf1",
    events: Annotated[
        str, typer.Option(help="Endpoint of the daemon's events.")
    ] = "tcp://127.0.0.1:5611",
    lines: Annotated[
        bool, typer.Option(help="One line per event instead of the table, also for pipes.")
    ] = False,
) -> None:
    """Show the events of a source as they come."""
    from latticewatch.daemon.watch import watch_source

    watch_source(source, endpoint=events, as_table=not lines and sys.stdout.isatty())
