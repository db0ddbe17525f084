"""What is put on the wire beside the pixels; recorded images as if they were live."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from latticewatch.adapters.errors import InputError
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.simulator.sources import recorded_shots, simulated_shots


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "stack.npy"
    np.save(path, np.arange(3 * 20 * 24, dtype=">u2").reshape(3, 20, 24))
    return path


def test_simulated_frames_say_where_they_are_and_how_long_a_pixel_took() -> None:
    settings = MicroscopeSettings(shape_yx=(64, 96), fps=20.0, scan_rotation_deg=90.0)
    first, second = simulated_shots(Microscope(settings), n_frames=2, tell_truth=False)
    context = first.fields["context"]
    assert first.fields["calibrated"]
    assert context.fov_nm_yx == pytest.approx((64 * 0.0131, 96 * 0.0131))
    assert context.rotation_rad == pytest.approx(np.pi / 2)
    assert first.fields["dwell_ns"] * 64 * 96 * 20.0 == pytest.approx(1e9)
    assert (first.fields["frame_index"], second.fields["frame_index"]) == (0, 1)


def test_without_a_number_simulated_frames_never_end() -> None:
    microscope = Microscope(MicroscopeSettings(shape_yx=(16, 16)))
    endless = simulated_shots(microscope, n_frames=None, tell_truth=True)
    assert len(list(islice(endless, 50))) == 50


def test_recorded_frames_come_in_order_and_end(stack: Path) -> None:
    shots = list(recorded_shots([stack], n_frames=None, is_looped=False))
    assert [shot.pixels[0, 0] for shot in shots] == [0, 480, 960]
    assert all(shot.pixels.dtype == np.dtype("<u2") for shot in shots)
    assert shots[2].fields["attrs"]["recording"] == "stack.npy"
    assert "calibrated" not in shots[0].fields


def test_looped_recordings_begin_again(stack: Path) -> None:
    shots = islice(recorded_shots([stack], n_frames=None, is_looped=True), 7)
    assert [shot.fields["attrs"]["recording_index"] for shot in shots] == [0, 1, 2, 0, 1, 2, 0]
    assert len(list(recorded_shots([stack], n_frames=8, is_looped=True))) == 8


def test_a_number_cuts_a_recording_but_does_not_repeat_it(stack: Path) -> None:
    assert len(list(recorded_shots([stack], n_frames=2, is_looped=False))) == 2
    assert len(list(recorded_shots([stack], n_frames=9, is_looped=False))) == 3


def test_several_inputs_follow_each_other(stack: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "single.npy", np.ones((16, 16), np.float64))
    shots = list(recorded_shots([stack, tmp_path / "single.npy"], n_frames=None, is_looped=False))
    assert [shot.pixels.shape for shot in shots] == [(20, 24)] * 3 + [(16, 16)]
    assert shots[3].pixels.dtype == np.dtype("<f4")


def test_a_recording_with_pixel_size_is_calibrated(tmp_path: Path) -> None:
    frames = np.zeros((2, 32, 48), np.uint16)
    np.savez(tmp_path / "c.npz", frames=frames, pixel_size_nm=np.array([0.02, 0.01]))
    shot = next(recorded_shots([tmp_path / "c.npz"], n_frames=None, is_looped=False))
    assert shot.fields["calibrated"]
    assert shot.fields["context"].fov_nm_yx == pytest.approx((0.64, 0.48))


def test_what_was_added_to_negative_pixels_is_told_each_time(tmp_path: Path) -> None:
    np.save(tmp_path / "signed.npy", np.full((16, 16), -3, np.int16))
    shots = list(recorded_shots([tmp_path / "signed.npy"], n_frames=2, is_looped=True))
    for shot in shots:
        assert shot.fields["attrs"]["added_to_pixels"] == 4
        assert (shot.pixels == 1).all()


def test_a_missing_file_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        recorded_shots([tmp_path / "no.npy"], n_frames=None, is_looped=False)
