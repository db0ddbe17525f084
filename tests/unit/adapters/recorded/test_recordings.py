"""Each kind of file gives back what was written, and damage is one clear line."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from latticewatch.adapters.recorded import InputError, expand_inputs, open_recording
from support.recordings import STACK, WRITERS, read_all, refusal


@pytest.mark.parametrize("name", WRITERS)
def test_a_stack_reads_back_frame_by_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path, STACK)
    recording = open_recording(path)
    assert (recording.n_frames, recording.shape_yx) == (6, (64, 48))
    assert recording.dtype == recording.frame(0).dtype
    assert recording.path == path
    for index in (5, 0, 3):  # not in order: nothing is a stream
        np.testing.assert_array_equal(recording.frame(index), STACK[index])


@pytest.mark.parametrize("name", [name for name in WRITERS if "ome" not in name])
def test_one_frame_reads_back(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, STACK[2])
    np.testing.assert_array_equal(read_all(tmp_path / name), STACK[2:3])


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_cut_anywhere_is_refused_or_complete(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path, STACK)
    whole = path.read_bytes()
    n_refused = 0
    for length in [*range(0, len(whole), 499), 3, 20, 200, len(whole) - 1, len(whole) - 20]:
        path.write_bytes(whole[:length])
        text = refusal(path)
        n_refused += bool(text)
        assert text or np.array_equal(read_all(path), STACK)
    assert n_refused > len(whole) // 499 - 2


@pytest.mark.parametrize("dtype", ["?", "u1", ">u2", "<u4", "<i2", ">i4", "<f2", ">f4", "<f8"])
def test_accepted_types_keep_their_values(tmp_path: Path, dtype: str) -> None:
    stack = (STACK - 2048.0 if np.dtype(dtype).kind in "if" else STACK).astype(dtype)
    np.save(tmp_path / "a.npy", stack)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    for name in ("a.npy", "a.tif"):
        np.testing.assert_array_equal(read_all(tmp_path / name), stack)


@pytest.mark.parametrize("dtype", ["i1", "<c8", "<M8[s]", "<U3"])
def test_other_types_are_refused_by_name(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", np.zeros((64, 48), dtype=dtype))
    with pytest.raises(InputError, match=r"pixels of .*: expected one of bool, u1"):
        open_recording(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(15, 64), (64, 15), (16, 8193), (0, 64, 64), (64, 64, 3), (64,)])
def test_other_shapes_are_refused_with_their_numbers(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype="u1"))
    with pytest.raises(InputError) as refused:
        open_recording(tmp_path / "a.npy")
    assert str(refused.value).startswith(f"{tmp_path}/a.npy: ")


def test_a_frame_is_read_only(tmp_path: Path) -> None:
    for name in ("mapped.npy", "stored.npz", "plain.tif", "lzw.tif"):
        WRITERS[name](tmp_path / name, STACK)
        assert not open_recording(tmp_path / name).frame(0).flags.writeable


@pytest.mark.parametrize("index", [-1, 6])
def test_a_frame_that_is_not_there_is_named(tmp_path: Path, index: int) -> None:
    np.save(tmp_path / "a.npy", STACK)
    with pytest.raises(IndexError, match=rf"a\.npy: frame {index}: the file has 0\.\.5"):
        open_recording(tmp_path / "a.npy").frame(index)


def test_a_stack_on_disk_is_not_read_into_memory(tmp_path: Path) -> None:
    for name in ("mapped.npy", "plain.tif"):
        WRITERS[name](tmp_path / name, STACK)
        frame = open_recording(tmp_path / name).frame(1)
        assert isinstance(frame, np.memmap)


@pytest.mark.parametrize(("name", "library"), [("a.tif", "tifffile"), ("a.png", "imagecodecs")])
def test_a_missing_library_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf'{library} .*pip install "latticewatch\[io\]"'):
        open_recording(tmp_path / name)


def test_an_unknown_kind_of_file_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.dm4").write_bytes(b"x")
    with pytest.raises(InputError, match=r"unknown kind of file: expected one of \.npy, \.npz"):
        open_recording(tmp_path / "a.dm4")


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_recording(tmp_path / "a.npy")


def test_a_folder_is_its_known_files_in_order(tmp_path: Path) -> None:
    for name in ("b.TIF", "a.npy", "c.txt", ".hidden.npy", "d.png"):
        (tmp_path / name).touch()
    (tmp_path / "e.npy").mkdir()
    alone = tmp_path / "c.txt"
    assert expand_inputs([alone, tmp_path]) == [
        alone,
        tmp_path / "a.npy",
        tmp_path / "b.TIF",
        tmp_path / "d.png",
    ]


def test_a_folder_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.npy, .* in this folder"):
        expand_inputs([tmp_path])
    with pytest.raises(InputError, match="no such file or folder"):
        expand_inputs([tmp_path / "absent"])


def test_a_known_pixel_size_gives_the_field_of_view(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", frames=STACK, pixel_size_nm=np.array([0.02, 0.01]))
    context = open_recording(tmp_path / "a.npz").context
    assert context is not None
    assert (context.size_yx, context.center_nm_yx) == ((64, 48), (0.0, 0.0))
    assert context.fov_nm_yx == pytest.approx((1.28, 0.48))


def test_without_a_pixel_size_the_field_of_view_is_unknown(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    assert open_recording(tmp_path / "a.npy").context is None


def test_a_frame_for_the_wire_says_whence_it_comes_and_what_was_changed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", frames=STACK.astype(np.int16) - 4096)
    frame = open_recording(tmp_path / "a.npz").wire_frame(1)
    assert frame.attrs == {
        "array": "frames",
        "stored_type": "int16",
        "added_to_pixels": 4096,
        "recording": "a.npz",
        "recording_index": 1,
    }
    np.testing.assert_array_equal(frame.pixels, STACK[1])


def test_a_name_that_is_not_utf_8_can_still_be_sent(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    odd = tmp_path / "\udcff.npy"  # how Python spells the byte 0xff in a name
    (tmp_path / "a.npy").rename(odd)
    assert open_recording(odd).name == "?.npy"
