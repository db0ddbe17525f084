import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latticewatch.adapters.errors import InputError, PortInUseError
from latticewatch.daemon import cli, demo_setup
from latticewatch.daemon.config import ConfigError
from latticewatch.daemon.models import ModelError
from latticewatch.daemon.processes import CommandError
from latticewatch.simulator import crystal
from support.crystals import specimen
from support.programs import run_command

COMMANDS = ["demo", "run", "simulate", "fit", "analyze", "watch", "config", "doctor", "bench"]


def run_main(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["latticewatch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_every_command_is_listed() -> None:
    shown = CliRunner().invoke(cli.app, ["--help"]).output

    assert [name for name in COMMANDS if f" {name} " not in shown] == []


def test_the_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(cli.app, ["--version"])

    assert (shown.exit_code, shown.output) == (0, f"latticewatch {version('latticewatch')}\n")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ConfigError(["ingest.hwm = 0: must be at least 1"]), 2),
        (InputError("a.npy: no such file"), 2),
        (CommandError("the simulator ended with code 1: no"), 1),
        (PortInUseError("tcp://127.0.0.1:5610: in use"), 75),
        (ModelError("m.model: damaged"), 78),
    ],
)
def test_a_failure_that_explains_itself_is_one_line_and_an_exit_code(
    failure: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise failure

    monkeypatch.setattr(cli, "app", fail)

    assert run_main(monkeypatch=monkeypatch) == code
    assert capsys.readouterr().err == f"{failure}\n"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)

    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_linear_algebra_gets_one_thread_unless_the_user_said_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    for name in cli.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(cli, "app", lambda: None)

    cli.main()

    assert [os.environ[name] for name in cli.THREAD_VARIABLES] == ["3", "1", "1"]


def test_the_written_settings_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.toml"

    assert run_main("config", "init", path, monkeypatch=monkeypatch) == 0
    assert run_main("config", "check", path, monkeypatch=monkeypatch) == 0
    assert tomllib.loads(path.read_text())["ingest"]["hwm"] == 4


def test_a_model_without_a_folder_to_go_to_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, folder = tmp_path / "clean.npy", tmp_path / "none"

    assert run_main("fit", frames, "-o", folder / "n.model", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == (
        f"{folder}: no such folder: make it, or write n.model elsewhere\n"
    )


@pytest.mark.fault
@pytest.mark.parametrize("command", [("config", "check"), ("run",)], ids=str)
@pytest.mark.parametrize(
    ("text", "code", "lines"),
    [
        (
            "model = 'none.model'",
            78,
            ["detectors.patterson.model: none.model: cannot be read: No such file or directory"],
        ),
        (
            "model = 'pretrained:graphene'\n[http]\nport = 5610",
            2,
            [
                'http.port = "tcp://127.0.0.1:5610": is taken by ingest.endpoint: choose another',
                "detectors.patterson.model: pretrained:graphene: no such model is shipped, "
                "there is: mos2, mos2-motifs, mos2-symmetry, mos2-vae, srtio3, srtio3-motifs, "
                "srtio3-symmetry, srtio3-vae, zincblende, zincblende-motifs, "
                "zincblende-symmetry, zincblende-vae",
            ],
        ),
    ],
)
def test_checking_settings_finds_what_running_them_finds(
    command: tuple[str, ...], text: str, code: int, lines: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"[detectors.patterson]\n{text}\n")

    done = run_command(*command, path)

    assert done.returncode == code
    told = done.stderr.splitlines()
    assert len(told) == len(lines)
    assert all(line in shown for line, shown in zip(lines, told, strict=True))


def test_the_demo_knows_the_crystals_of_the_simulator() -> None:
    assert set(demo_setup.CRYSTALS) == set(crystal.CRYSTALS)


def test_a_crystal_that_the_demo_does_not_know_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("demo", "--crystal", "gold", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == ("--crystal gold: expected one of mos2, srtio3, zincblende\n")


@pytest.mark.parametrize(("option", "code"), [("--help", 0), ("--crystal=gold", 2)])
def test_the_simulator_calls_itself_as_it_was_called(option: str, code: int) -> None:
    done = run_command("simulate", option)

    assert done.returncode == code
    assert "usage: latticewatch simulate " in done.stdout + done.stderr
    assert "python -m" not in done.stdout + done.stderr


def test_two_crystals_in_one_fit_are_refused_by_the_names_of_their_files(tmp_path: Path) -> None:
    np.save(tmp_path / "clean.npy", specimen()[0])
    np.save(tmp_path / "other.npy", specimen("srtio3")[0])
    model = tmp_path / "m.model"

    done = run_command("fit", tmp_path / "clean.npy", tmp_path / "other.npy", "-o", model)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "different lattices: " in done.stderr
    assert "clean.npy 24.1 px at 60 degrees" in done.stderr
    assert "other.npy 29.8 px at 90 degrees" in done.stderr
    assert not model.exists()


def test_settings_that_are_there_are_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.toml"
    path.write_text("# mine\n")

    assert run_main("config", "init", path, monkeypatch=monkeypatch) == 2
    assert path.read_text() == "# mine\n"
    assert "--force" in capsys.readouterr().err


def test_every_mistake_of_a_settings_file_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[ingest]\nhwm = 0\nhwmm = 3\n")

    assert run_main("config", "check", path, monkeypatch=monkeypatch) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert any("ingest.hwm = 0" in line for line in lines)
    assert any("ingest.hwmm" in line and "did you mean ingest.hwm?" in line for line in lines)
