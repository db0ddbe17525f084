"""Commands about this computer and its settings: config, doctor, bench."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

config_app = typer.Typer(no_args_is_help=True, help="Write, check or describe a settings file.")


def register(app: typer.Typer) -> None:
    """Add this group to the program."""
    app.add_typer(config_app, name="config")
    app.command("doctor")(doctor)
    app.command("bench")(bench)


@config_app.command("init")
def config_init(
    path: Annotated[Path, typer.Argument(help="Where to write it; - for standard output.")] = Path(
        "latticewatch.toml"
    ),
    force: Annotated[bool, typer.Option(help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a commented settings file that holds every default, with unit and range."""
    from latticewatch.adapters.errors import InputError
    from latticewatch.daemon.config import default_toml

    if str(path) == "-":
        typer.echo(default_toml(), nl=False)
        return
    if path.exists() and not force:
        raise InputError(f"{path}: is there already: name another file, or --force")
    try:
        path.write_text(default_toml(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {path}: latticewatch run {path}")


@config_app.command("check")
def config_check(path: Annotated[Path, typer.Argument(help="A settings file (TOML).")]) -> None:
    """Check a settings file and its model; every mistake at once, with the exit code of `run`."""
    from latticewatch.daemon.config import load_settings
    from latticewatch.daemon.models import check_models, model_mistakes

    settings = load_settings(path, model_mistakes=model_mistakes)
    check_models(settings.detectors)
    typer.echo(f"{path}: good, source {settings.source.name}, frames at {settings.ingest.endpoint}")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the settings file, for editors."""
    from latticewatch.daemon.config import settings_schema

    typer.echo(json.dumps(settings_schema(), indent=2))


def doctor(
    config: Annotated[
        Path | None, typer.Option(help="Settings whose ports are asked for; else the defaults.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead.")] = False,
) -> None:
    """Say whether this computer is fit for it, and what to do where it is not."""
    from latticewatch.daemon.config import load_settings
    from latticewatch.daemon.doctor import examine, show_table

    checks = examine(load_settings(config))
    if as_json:
        typer.echo(json.dumps({"checks": [check.as_dict() for check in checks]}))
    else:
        show_table(checks)
    if any(check.verdict == "bad" for check in checks):
        raise typer.Exit(1)


def bench(
    size: Annotated[int, typer.Option(help="Side of the frame in px.", min=128, max=4096)] = 1024,
    repeats: Annotated[int, typer.Option(help="Timed calls per row.", min=5, max=10_000)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead.")] = False,
) -> None:
    """Measure every kernel and the whole pipeline against a straightforward SciPy version."""
    from latticewatch.daemon.bench import run_bench, show_table

    typer.echo("measuring for two minutes or so; compiling first", err=True)
    result = run_bench(size_px=size, repeats=repeats, tell=partial(typer.echo, err=True))
    if as_json:
        typer.echo(json.dumps(result))
    else:
        show_table(result)
