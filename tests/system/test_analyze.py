"""`fit` and `analyze` as commands, and the promise that offline equals live."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latticewatch.client import Status
from latticewatch.daemon.demo_score import Truth, judge
from latticewatch.detectors.artifact import Artifact
from latticewatch.wire.codec import decode_event
from latticewatch.wire.plain import to_jsonable
from support.programs import daemon_process, listening_to, run_command, simulator_process

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

N_FRAMES = 3
MOST_DEFECTS = 1024  # what analyze allows, and part of the digest in `model_set`
# Envelope, times and where the frame came from: everything else must be bit-equal.
ENVELOPE = ("source", "stream", "seq", "journaled", "t_pub_ns", "t_recv_ns", "latency_us", "input")
OF_THE_SENDER = ("session", "t_start_ns", "t_complete_ns", "t_source", "frame_index")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames") / "frames.npy"
    done = run_command("simulate", "--save", path, "--frames", N_FRAMES, "--seed", 7)
    assert done.returncode == 0, done.stderr
    return path


# Lines and patches are looked for by both: `run` looks only where the lattice is lost.
ALWAYS = "[detectors.domains]\nalways = true\n"


def analyze(*arguments: object) -> list[dict[str, Any]]:  # Any: JSON
    done = run_command("analyze", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def essence(event: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    """What must not depend on how a frame came."""
    kept = {key: value for key, value in event.items() if key not in ENVELOPE}
    kept["frame"] = {
        key: value for key, value in event["frame"].items() if key not in OF_THE_SENDER
    }
    kept["detectors"] = [{**entry, "us": 0} for entry in event["detectors"]]
    kept["quality"] = [word for word in event["quality"] if word != "replay"]
    return kept


def live_events(frames: Path, folder: Path) -> list[dict[str, Any]]:  # Any: JSON
    """Events of the same frames, sent through real sockets to a daemon in another process."""
    bodies: list[bytes] = []

    with (
        daemon_process(folder, mode="lossless", max_defects=MOST_DEFECTS, more=ALWAYS) as daemon,
        listening_to(daemon) as client,
    ):
        accept = client.inbox.accept

        def keep(parts: list[bytes], *, t_received_ns: int) -> object:
            if parts[0].startswith(b"ev/"):
                bodies.append(parts[1])
            return accept(parts, t_received_ns=t_received_ns)

        client.inbox.accept = keep  # type: ignore[assignment,method-assign] # looks in from outside
        arguments = ("--images", frames, "--mode", "lossless", "--endpoint", daemon.frames)
        with simulator_process(*arguments):
            while True:
                message = client.receive_any(timeout_s=60)
                if isinstance(message, Status) and message.code == "session_ended":
                    break
    return [to_jsonable(decode_event(body)) for body in bodies]


def test_events_are_bit_equal_offline_and_live(frames: Path, tmp_path: Path) -> None:
    live = live_events(frames, tmp_path)
    offline = analyze(frames, "--model", "pretrained:mos2")

    assert len(live) == N_FRAMES
    assert sum(event["n_defects"] for event in live) > 0
    # As text: a float that differs in its last bit differs here.
    assert [json.dumps(essence(event)) for event in live] == [
        json.dumps(essence(event)) for event in offline
    ]


def test_a_recording_judged_by_itself_finds_what_is_hidden(frames: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need the io extra", exc_type=ImportError)
    lines = analyze(frames, "--plot", tmp_path / "pictures")

    truths = json.loads(frames.with_suffix(".truth.json").read_text())
    verdicts = [
        judge(places_of(line), truth_of(truth), (512, 512))
        for line, truth in zip(lines, truths, strict=True)
    ]
    assert sum(verdict.n_recalled for verdict in verdicts) >= 0.7 * sum(
        verdict.n_hidden for verdict in verdicts
    )
    assert sum(verdict.n_false for verdict in verdicts) <= 0.3 * sum(
        verdict.n_true for verdict in verdicts
    )
    assert len(list((tmp_path / "pictures").glob("*.png"))) == N_FRAMES


def places_of(line: dict[str, Any]) -> np.ndarray:
    return np.array([defect["pixel_yx"] for defect in line["defects"]]).reshape(-1, 2)


def truth_of(record: dict[str, Any]) -> Truth:
    return Truth(
        pixel_yx=np.array(record["pixel_yx"]).reshape(-1, 2),
        kinds=tuple(record["kind"]),
        period_px=record["period_px"],
    )


def test_vacuum_and_garbage_are_told_and_the_next_file_is_answered(
    frames: Path, tmp_path: Path
) -> None:
    vacuum, garbage, out = tmp_path / "1.npy", tmp_path / "2.tif", tmp_path / "events.jsonl"
    np.save(vacuum, np.random.default_rng(1).poisson(3.0, (256, 256)).astype(np.uint16))
    garbage.write_bytes(b"not a picture")

    done = run_command("analyze", vacuum, garbage, frames, "--out", out)

    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(f"{1 + N_FRAMES} frames, {N_FRAMES} scored, ")
    assert len(done.stderr.strip().splitlines()) == 2
    assert [line["outcome"] for line in lines] == ["not_scored"] + ["scored"] * N_FRAMES
    assert "not_periodic" in lines[0]["quality"]
    assert lines[0]["defects"] == []


def test_a_fitted_model_serves_another_recording(frames: Path, tmp_path: Path) -> None:
    other, model = tmp_path / "other.npy", tmp_path / "own.model"
    run_command("simulate", "--save", other, "--seed", 8)

    fitted = run_command("fit", frames, "-o", model)
    lines = analyze(other, "--model", model)

    assert fitted.returncode == 0, fitted.stderr
    assert "sites" in fitted.stdout
    assert lines[0]["outcome"] == "scored"
    artifacts = {entry["name"]: entry["artifact"] for entry in lines[0]["detectors"]}
    assert artifacts["patterson"] == str(model)


def test_a_model_of_redrawn_columns_is_fitted_and_looks_at_them(
    frames: Path, tmp_path: Path
) -> None:
    model, columns = tmp_path / "columns.model", ("--image", "columns")

    fitted = run_command(
        "fit", frames, "-o", model, "--detectors", "patterson,reference_cell", *columns
    )
    lines = analyze(frames, "--model", model, "--detectors", "patterson")

    assert fitted.returncode == 0, fitted.stderr
    assert "reference_cell needs no model" in fitted.stderr
    assert Artifact.read(model).header["parameters"]["image"] == "columns"
    assert [line["outcome"] for line in lines] == ["scored"] * N_FRAMES


def test_a_model_that_is_no_model_is_refused(frames: Path) -> None:
    done = run_command("analyze", frames, "--model", frames)

    assert done.returncode == 78
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_input_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run_command("analyze", tmp_path / "none.tif")

    assert done.returncode == 2
    assert done.stderr == f"{tmp_path / 'none.tif'}: no such file or folder\n"
