"""The command `latticewatch`: its groups of commands, and which failure ends with which exit code.

The commands themselves are in cli_live.py (processes and streams), cli_files.py (recordings and
models) and cli_host.py (this computer and its settings). They import what they need when they run,
so that `--help` answers at once.
"""

import os
import sys
from typing import Annotated

import typer

from latticewatch.daemon import cli_files, cli_host, cli_live

# Class of the failure -> exit code. Named, not imported: the module of an exception that was
# raised is loaded already, and importing all of them for one line of text would take a second.
EXIT_CODES = {
    ("latticewatch.daemon.config", "ConfigError"): 2,
    ("latticewatch.adapters.errors", "EndpointError"): 2,
    ("latticewatch.adapters.errors", "InputError"): 2,
    ("latticewatch.client.errors", "ClientError"): 1,
    ("latticewatch.daemon.processes", "CommandError"): 1,
    ("latticewatch.adapters.errors", "PortInUseError"): 75,
    ("latticewatch.detectors.protocols", "ModelError"): 78,
}

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

app = typer.Typer(
    name="latticewatch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Watches a live electron-microscope stream and says where the lattice is broken.",
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"latticewatch {version('latticewatch')}")
        raise typer.Exit


@app.callback()
def _options_of_all(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    del version  # its callback has answered


cli_live.register(app)
cli_files.register(app)
cli_host.register(app)


def exit_code_of(failure: BaseException) -> int | None:
    """Exit code of a failure that its message explains; None where a traceback is due."""
    for (module_name, class_name), code in EXIT_CODES.items():
        expected = getattr(sys.modules.get(module_name), class_name, None)
        if expected is not None and isinstance(failure, expected):
            return code
    return None


def main() -> None:
    """Run the command line; a failure that is the user's to mend is one line on stderr."""
    # Before a command imports numpy, which reads these once. A frame is too little work to share:
    # BLAS threads would only fight with the loop, the receive thread and each other for the cores.
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as failure:
        code = exit_code_of(failure)
        if code is None:
            raise
        typer.echo(str(failure), err=True)
        raise SystemExit(code) from None


if __name__ == "__main__":
    main()
