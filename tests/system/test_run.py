"""The daemon as a process: its start, its stop, and sources that are killed or that are files."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latticewatch.client import DefectClient, DefectEvent, Heartbeat, Message, Status
from latticewatch.daemon.processes import Child
from support.programs import (
    SOURCE,
    daemon_process,
    listening_to,
    run_command,
    simulator_process,
    write_config,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

REAL = Path(__file__).parents[3] / "shared" / "data" / "real"
RESIDENT_LIMIT_MIB = 400  # the promise of the daemon
STOP_LIMIT_S = 5.0
WAIT_S = 60.0


def receive_until(client: DefectClient, wanted: Callable[[Message], bool]) -> Message:
    while True:
        message = client.receive_any(timeout_s=WAIT_S)
        if wanted(message):
            return message


def is_scored(message: Message) -> bool:
    return isinstance(message, DefectEvent) and message.outcome == "scored"


def has_code(code: str) -> Callable[[Message], bool]:
    return lambda message: isinstance(message, Status) and message.code == code


def test_sigterm_ends_it_in_time_with_a_last_account(tmp_path: Path) -> None:
    with (
        daemon_process(tmp_path) as daemon,
        listening_to(daemon) as client,
        simulator_process("--endpoint", daemon.frames, "--fps", 20),
    ):
        receive_until(client, is_scored)
        start_s = time.monotonic()
        daemon.child.ask_to_stop()
        last = receive_until(client, has_code("stopping"))
        code = daemon.child.stop()

    assert code == 0
    assert time.monotonic() - start_s < STOP_LIMIT_S
    assert isinstance(last, Status)
    assert last.detail["unaccounted"] == 0
    assert last.detail["processed"] > 0


def test_sigterm_while_the_models_load_ends_it_at_once(tmp_path: Path) -> None:
    model = tmp_path / "slow.model"
    os.mkfifo(model)
    config = tmp_path / "daemon.toml"
    config.write_text(f'[detectors.patterson]\nmodel = "{model}"\n')
    arguments = ["run", str(config)]
    with (
        Child(name="the daemon", module="latticewatch.daemon", arguments=arguments) as child,
        model.open("wb"),  # opens once the daemon reads it, which then waits for content
    ):
        start_s = time.monotonic()
        child.ask_to_stop()
        code = child.stop()

    assert code == 0
    assert time.monotonic() - start_s < STOP_LIMIT_S


def test_a_reader_of_its_log_that_leaves_does_not_end_it(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "latticewatch.daemon", "run", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stderr is not None
        daemon.stderr.close()
        endpoints = json.loads(daemon.stdout.readline())["endpoints"]
        with DefectClient(SOURCE, events=endpoints["events"], lost_after_s=math.inf) as client:
            # Lines are written ten times a second: the second heartbeat is behind the first line.
            for _ in range(2):
                receive_until(client, lambda message: isinstance(message, Heartbeat))
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=WAIT_S) == 0


def test_a_killed_source_is_missed_and_its_successor_answered(tmp_path: Path) -> None:
    with (
        daemon_process(tmp_path) as daemon,
        listening_to(daemon) as client,
    ):
        with simulator_process("--endpoint", daemon.frames, "--fps", 20) as simulator:
            first = receive_until(client, is_scored)
            os.kill(simulator.pid, signal.SIGKILL)
        receive_until(client, lambda m: has_code("source_down")(m) or has_code("source_stalled")(m))
        with simulator_process("--endpoint", daemon.frames, "--fps", 20):
            receive_until(client, has_code("session_started"))
            second = receive_until(client, is_scored)
        assert daemon.child.is_running

    assert isinstance(first, DefectEvent)
    assert isinstance(second, DefectEvent)
    assert first.frame.session != second.frame.session
    assert first.stream == second.stream


def test_a_material_in_the_settings_gives_nanometres_to_clients(tmp_path: Path) -> None:
    with (
        daemon_process(tmp_path, more="[material]\nname = 'MoS2'\n") as daemon,
        listening_to(daemon) as client,
        simulator_process("--endpoint", daemon.frames, "--fps", 20),
    ):
        event = receive_until(client, is_scored)

    assert isinstance(event, DefectEvent)
    assert event.calibrated
    assert event.pixel_size is not None
    assert event.pixel_size.size_pm == pytest.approx(13.1, rel=0.01)


def test_memory_stays_within_its_promise(tmp_path: Path) -> None:
    with (
        daemon_process(tmp_path) as daemon,
        listening_to(daemon) as client,
        simulator_process("--endpoint", daemon.frames, "--fps", 30, "--frames", 60) as simulator,
    ):
        receive_until(client, has_code("session_ended"))
        assert simulator.receive_json(timeout_s=10)["frames_sent"] == 60

        assert daemon.resident_mib() <= RESIDENT_LIMIT_MIB
        assert daemon.metrics()["latticewatch_frames_processed_total"] >= 1


def test_a_port_in_use_is_told_with_its_own_code(tmp_path: Path) -> None:
    with daemon_process(tmp_path) as daemon:
        config = tmp_path / "second.toml"
        config.write_text(f'[ingest]\nendpoint = "{daemon.frames}"\n[http]\nport = 0\n')
        done = run_command("run", config)

    assert done.returncode == 75
    assert daemon.frames in done.stderr


def test_a_model_that_is_not_there_is_told_with_its_own_code(tmp_path: Path) -> None:
    config = tmp_path / "daemon.toml"
    config.write_text(f'[detectors.patterson]\nmodel = "{tmp_path / "no.model"}"\n')

    done = run_command("run", config)

    assert done.returncode == 78
    assert "no.model" in done.stderr


def fit_model(images: Path, folder: Path) -> Path:
    model = folder / "own.model"
    done = run_command("fit", images, "-o", model)
    assert done.returncode == 0, done.stderr
    return model


def first_event(images: Path, model: Path, folder: Path) -> DefectEvent:
    """Stream a file through the daemon as if live."""
    with (
        daemon_process(folder, model=str(model)) as daemon,
        listening_to(daemon) as client,
        stream_images(images, daemon.frames),
    ):
        event = receive_until(client, lambda message: isinstance(message, DefectEvent))
    assert isinstance(event, DefectEvent)
    return event


def stream_images(images: Path, endpoint: str) -> Child:
    return simulator_process("--images", images, "--loop", "--fps", 10, "--endpoint", endpoint)


def test_a_recording_streams_as_if_live(tmp_path: Path) -> None:
    images = tmp_path / "frames.npy"
    assert run_command("simulate", "--save", images, "--frames", 2, "--seed", 5).returncode == 0

    event = first_event(images, fit_model(images, tmp_path), tmp_path)

    assert event.outcome == "scored"
    assert event.n_defects > 0


@pytest.mark.skipif(not REAL.exists(), reason="the real images are not beside this checkout")
def test_the_real_mos2_image_streams_as_if_live(tmp_path: Path) -> None:
    images = REAL / "mos2_v_doped.npy"

    event = first_event(images, fit_model(images, tmp_path), tmp_path)

    assert event.outcome == "scored"
    assert event.n_sites > 500
    assert 0 < event.n_defects < 0.1 * event.n_sites


def test_noise_is_not_scored(tmp_path: Path) -> None:
    images = tmp_path / "noise.npy"
    np.save(images, np.random.default_rng(0).poisson(9.0, (256, 256)).astype(np.uint16))

    event = first_event(images, Path("pretrained:mos2"), tmp_path)

    assert event.outcome == "not_scored"
    assert "not_periodic" in event.quality
    assert event.defects == ()
