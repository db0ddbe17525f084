"""Which array of an archive is taken, its pixel size, and that nothing is unpickled."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from latticewatch.adapters.recorded import InputError, expand_inputs, open_recording
from support.recordings import STACK, read_all


def test_npy_never_unpickles(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}] * 9, dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no readable npy"):
        open_recording(tmp_path / "a.npy")


def test_npz_never_unpickles(tmp_path: Path) -> None:
    objects = np.full((64, 48), None, dtype=object)
    np.savez(tmp_path / "a.npz", frames=objects)
    with pytest.raises(InputError, match="no array of frames among frames"):
        open_recording(tmp_path / "a.npz")


def test_npz_prefers_what_is_called_frames(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mask=STACK[::-1], frames=STACK, truth=np.zeros((99, 2)))
    recording = open_recording(tmp_path / "a.npz")
    assert recording.attrs["array"] == "frames"
    np.testing.assert_array_equal(recording.frame(0), STACK[0])


def test_npz_takes_the_first_array_that_can_be_frames(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", places=np.zeros((99, 2)), scan=STACK, note=np.array("text"))
    np.testing.assert_array_equal(read_all(tmp_path / "a.npz"), STACK)


def test_npz_with_a_choice_of_frames_is_refused_with_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", scan=STACK, mask=STACK, places=np.zeros((99, 2)))
    with pytest.raises(InputError) as refused:
        open_recording(tmp_path / "a.npz")
    assert str(refused.value) == (
        f"{tmp_path}/a.npz: scan, mask may all be frames: say a.npz:scan, or give one of them the "
        "name frames"
    )


def test_numpys_default_integers_are_read(tmp_path: Path) -> None:
    stack = STACK.astype(np.int64)
    stack[1, 0, 0] = -5
    np.save(tmp_path / "a.npy", stack)
    frame = open_recording(tmp_path / "a.npy").wire_frame(1)
    assert frame.pixels.dtype == np.dtype("<u4")
    assert frame.attrs["stored_type"] == "int64"
    np.testing.assert_array_equal(frame.pixels.astype(np.int64) - 8, stack[1])


def test_integers_that_no_frame_can_carry_are_one_line(tmp_path: Path) -> None:
    stack = STACK.astype(np.uint64)
    stack[2, 0, 0] = 2**40
    np.save(tmp_path / "a.npy", stack)
    with pytest.raises(InputError) as refused:
        open_recording(tmp_path / "a.npy").frame(2)
    assert str(refused.value) == (
        f"{tmp_path}/a.npy: frame 2: uint64 pixels of {stack[2].min()} to 1099511627776 "
        "fit neither int32 nor uint32: store float32"
    )


@pytest.mark.parametrize(
    ("size", "expected"), [(0.02, (0.02, 0.02)), ([0.02, 0.04], (0.02, 0.04)), (1, (1.0, 1.0))]
)
def test_npz_may_state_the_pixel_size(
    tmp_path: Path, size: object, expected: tuple[float, float]
) -> None:
    np.savez(tmp_path / "a.npz", frames=STACK, pixel_size_nm=np.array(size))
    assert open_recording(tmp_path / "a.npz").pixel_size_nm_yx == expected


@pytest.mark.parametrize(
    "size",
    [0.0, -1.0, float("nan"), float("inf"), "0.02", [1.0, 2.0, 3.0], 1e306, 2e-11, [0.02, 1001.0]],
)
def test_a_pixel_size_that_is_none_is_refused(tmp_path: Path, size: object) -> None:
    np.savez(tmp_path / "a.npz", frames=STACK, pixel_size_nm=np.array(size))
    with pytest.raises(InputError, match=r"a\.npz: pixel.size"):
        open_recording(tmp_path / "a.npz")


def test_an_encrypted_or_foreign_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("frames.npy", b"not an array")
    with pytest.raises(InputError, match="no readable npz"):
        open_recording(tmp_path / "a.npz")


def test_a_pixel_size_out_of_range_says_what_came_and_what_is_allowed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", frames=STACK, pixel_size_nm=np.array([0.02, 1e306]))
    with pytest.raises(InputError) as refused:
        open_recording(tmp_path / "a.npz")
    assert str(refused.value) == (
        f"{tmp_path}/a.npz: pixel size of 0.02 x 1e+306 nm: must be 0.0005..1000 nm: check its unit"
    )


def test_one_of_several_arrays_is_taken_by_name(tmp_path: Path) -> None:
    scan, mask = np.ones((3, 16, 16), np.uint8), np.zeros((2, 16, 16), np.uint8)
    np.savez(tmp_path / "a.npz", scan=scan, mask=mask)
    named = tmp_path / "a.npz:mask"

    (found,) = expand_inputs([named])
    recording = open_recording(found)

    assert (recording.n_frames, recording.path) == (2, named)
    with pytest.raises(InputError) as refusal:
        open_recording(tmp_path / "a.npz:mass")
    assert str(refusal.value) == f"{tmp_path}/a.npz: no array mass among scan, mask"
