"""Each kind of file gives back what was written, and damage is one clear line."""

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from latticewatch.adapters.recorded import InputError, expand_inputs, open_recording

# Not square, and no frame like another, so that exchanged axes and pages show.
STACK = np.random.default_rng(1).integers(0, 4096, (6, 64, 48)).astype(np.uint16)
COLOURS = np.random.default_rng(2).integers(0, 256, (64, 48, 4)).astype(np.uint8)

Writer = Callable[[Path, NDArray[Any]], object]
WRITERS: dict[str, Writer] = {
    "mapped.npy": lambda path, stack: np.save(path, stack),
    "fortran.npy": lambda path, stack: np.save(path, np.asfortranarray(stack)),
    "stored.npz": lambda path, stack: np.savez(path, frames=stack),
    "deflated.npz": lambda path, stack: np.savez_compressed(path, frames=stack),
    "plain.tif": lambda path, stack: tifffile.imwrite(path, stack),
    "big.tiff": lambda path, stack: tifffile.imwrite(path, stack, bigtiff=True),
    "reversed.tif": lambda path, stack: tifffile.imwrite(path, stack, byteorder=">"),
    "bare.tif": lambda path, stack: tifffile.imwrite(path, stack, metadata=None),
    "lzw.tif": lambda path, stack: tifffile.imwrite(path, stack, compression="lzw"),
    "predicted.tif": lambda path, stack: tifffile.imwrite(
        path, stack, compression="lzw", predictor=True
    ),
    "deflate.TIF": lambda path, stack: tifffile.imwrite(path, stack, compression="zlib"),
    "strips.tif": lambda path, stack: tifffile.imwrite(
        path, stack, compression="zlib", rowsperstrip=7, metadata=None
    ),
    "tiles.tif": lambda path, stack: tifffile.imwrite(
        path, stack, compression="zlib", tile=(16, 32)
    ),
    "imagej.tif": lambda path, stack: tifffile.imwrite(path, stack, imagej=True),
    "microscopy.ome.tif": lambda path, stack: tifffile.imwrite(
        path, stack, metadata={"axes": "TYX"}
    ),
}


def read_all(path: Path) -> NDArray[Any]:
    recording = open_recording(path)
    return np.stack([recording.frame(index) for index in range(recording.n_frames)])


def refusal(path: Path) -> str:
    """One line that names the file, or nothing."""
    try:
        read_all(path)
    except InputError as error:
        text = str(error)
        return text if text.startswith(str(path)) and "\n" not in text else ""
    return ""


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


@pytest.mark.parametrize("dtype", ["<i8", "<u8", "i1", "<c8", "<M8[s]", "<U3"])
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


@pytest.mark.parametrize(
    ("size", "expected"), [(0.02, (0.02, 0.02)), ([0.02, 0.04], (0.02, 0.04)), (1, (1.0, 1.0))]
)
def test_npz_may_state_the_pixel_size(
    tmp_path: Path, size: object, expected: tuple[float, float]
) -> None:
    np.savez(tmp_path / "a.npz", frames=STACK, pixel_size_nm=np.array(size))
    assert open_recording(tmp_path / "a.npz").pixel_size_nm_yx == expected


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf"), "0.02", [1.0, 2.0, 3.0]])
def test_a_pixel_size_that_is_none_is_refused(tmp_path: Path, size: object) -> None:
    np.savez(tmp_path / "a.npz", frames=STACK, pixel_size_nm=np.array(size))
    with pytest.raises(InputError, match="pixel_size_nm"):
        open_recording(tmp_path / "a.npz")


def test_an_encrypted_or_foreign_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("frames.npy", b"not an array")
    with pytest.raises(InputError, match="no readable npz"):
        open_recording(tmp_path / "a.npz")


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_of_colours_the_first_channel_is_taken_and_said(
    tmp_path: Path, compression: str | None, planarconfig: str
) -> None:
    picture = COLOURS if planarconfig == "contig" else np.moveaxis(COLOURS, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        picture,
        photometric="rgb",
        planarconfig=planarconfig,
        compression=compression,
        extrasamples=["unassalpha"],
    )
    recording = open_recording(tmp_path / "a.tif")
    assert recording.attrs["channel"] == "first of 4"
    np.testing.assert_array_equal(recording.frame(0), COLOURS[..., 0])


def test_pages_of_another_shape_are_left_out_and_said(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[1, :32], metadata=None)
    recording = open_recording(tmp_path / "a.tif")
    assert recording.n_frames == 1
    assert recording.attrs["series"] == "first of 2"


@pytest.mark.parametrize(
    ("unit", "nm"), [("nm", 1.0), ("\\u00B5m", 1e3), ("micron", 1e3), ("pm", 1e-3), ("A", 0.1)]
)
def test_imagej_states_the_pixel_size(tmp_path: Path, unit: str, nm: float) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, imagej=True, resolution=(50, 25), metadata={"unit": unit}
    )
    size_nm_yx = open_recording(tmp_path / "a.tif").pixel_size_nm_yx
    assert size_nm_yx == pytest.approx((0.04 * nm, 0.02 * nm))


def test_dots_per_inch_are_not_a_pixel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, resolution=(72, 72), resolutionunit="INCH")
    assert open_recording(tmp_path / "a.tif").pixel_size_nm_yx is None


def test_a_stack_on_disk_is_not_read_into_memory(tmp_path: Path) -> None:
    for name in ("mapped.npy", "plain.tif"):
        WRITERS[name](tmp_path / name, STACK)
        frame = open_recording(tmp_path / name).frame(1)
        assert isinstance(frame, np.memmap)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_png_reads_back(tmp_path: Path, dtype: str) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(STACK[0].astype(dtype)))
    np.testing.assert_array_equal(read_all(tmp_path / "a.png")[0], STACK[0].astype(dtype))


def test_colours_of_a_png_are_reduced_to_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(COLOURS))
    recording = open_recording(tmp_path / "a.png")
    assert recording.attrs == {"channel": "first of 4"}
    np.testing.assert_array_equal(recording.frame(0), COLOURS[..., 0])


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.JPG", "a.png"])
def test_jpeg_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    (tmp_path / name).write_bytes(imagecodecs.jpeg_encode(smooth, 95))
    assert np.abs(read_all(tmp_path / name)[0].astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_cut_anywhere_is_refused_or_complete(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    encode = imagecodecs.png_encode if name == "a.png" else imagecodecs.jpeg_encode
    whole = encode(STACK[0].astype(np.uint8))
    path.write_bytes(whole)
    expected = read_all(path)
    for length in [*range(0, len(whole), 97), *range(len(whole) - 20, len(whole))]:
        path.write_bytes(whole[:length])
        assert refusal(path) or np.array_equal(read_all(path), expected)


def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"GIF89a" + bytes(100))
    with pytest.raises(InputError, match="neither PNG nor JPEG"):
        open_recording(tmp_path / "a.png")


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
