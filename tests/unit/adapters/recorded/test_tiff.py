"""Channels, series and pixel size of TIFF."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from latticewatch.adapters.recorded import InputError, open_recording
from support.recordings import COLOURS, STACK


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
        tmp_path / "a.tif", STACK, imagej=True, resolution=(1.6, 1.25), metadata={"unit": unit}
    )
    size_nm_yx = open_recording(tmp_path / "a.tif").pixel_size_nm_yx
    assert size_nm_yx == pytest.approx((0.8 * nm, 0.625 * nm))


def test_dots_per_inch_are_not_a_pixel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, resolution=(72, 72), resolutionunit="INCH")
    assert open_recording(tmp_path / "a.tif").pixel_size_nm_yx is None


@pytest.mark.parametrize(("resolution", "unit"), [((1, 0.5), "micron"), ((50, 2500), "pm")])
def test_a_pixel_size_out_of_range_is_refused(
    tmp_path: Path, resolution: tuple[float, float], unit: str
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, imagej=True, resolution=resolution, metadata={"unit": unit}
    )
    with pytest.raises(InputError, match=r"a\.tif: pixel size of .*: must be 0\.0005\.\.1000 nm"):
        open_recording(tmp_path / "a.tif")
