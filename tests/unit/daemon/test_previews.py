"""Which pictures are sent, and what their bytes say."""

import dataclasses

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.outcome import Outcome
from latticewatch.daemon.pipeline import Incoming
from latticewatch.daemon.previews import LEAST_BETWEEN_NS, Previews, preview_of
from latticewatch.daemon.sights import Picture
from latticewatch.wire.codec import decode_preview, encode
from latticewatch.wire.events import FrameRef
from support.headers import SESSION, frame
from support.pipelines import verdict

SHAPE_YX = (64, 96)


def outcome(seq: int, *layers: str) -> Outcome:
    incoming = Incoming(frame(seq), np.zeros(SHAPE_YX, "<u2"), t_recv_ns=1)
    pictures = tuple(Picture(layer, np.full(SHAPE_YX, seq, np.float32)) for layer in layers)
    return dataclasses.replace(verdict(incoming), pictures=pictures)


def frame_of(shape_yx: tuple[int, int]) -> FrameRef:
    reference = FrameRef.from_header(frame(5))
    return msgspec.structs.replace(reference, shape_yx=shape_yx)


def bytes_of(picture: Picture, shape_yx: tuple[int, int]) -> NDArray[np.uint8]:
    header, pixels = preview_of(picture, frame_of(shape_yx), "haadf1")
    assert decode_preview(encode(header)) == header
    return np.frombuffer(pixels, np.uint8).reshape(header.shape_yx)


def values_of(picture: Picture, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    header, _ = preview_of(picture, frame_of(shape_yx), "haadf1")
    shown = bytes_of(picture, shape_yx)
    values = header.low + shown / 255 * (header.high - header.low)
    return np.where(shown == 0, np.nan, values)


# When


def test_nothing_is_due_nor_sent_while_nobody_listens() -> None:
    previews = Previews()
    assert not previews.is_due(10**12)
    previews.keep(outcome(0, "vae"))
    assert previews.take(10**12) == []
    previews.is_wanted = True
    assert previews.take(10**12) == []  # of a time when nobody looked


def test_the_newest_of_each_layer_is_sent_and_no_older_one() -> None:
    previews = Previews()
    previews.is_wanted = True
    for seq in range(3):
        previews.keep(outcome(seq, "vae"))
    previews.keep(outcome(3, "symmetry"))
    sent = [header for header, _ in previews.take(0)]
    assert [(header.layer, header.frame.seq) for header in sent] == [("vae", 2), ("symmetry", 3)]
    assert sent[0].frame.session == SESSION


@pytest.mark.parametrize("layers", [("vae",), ("vae", "symmetry")])
def test_in_a_second_no_more_than_ten_are_sent(layers: tuple[str, ...]) -> None:
    previews = Previews()
    previews.is_wanted = True
    times_ns = []
    for millisecond in range(0, 5000, 7):
        now_ns = millisecond * 1_000_000
        if previews.is_due(now_ns):
            previews.keep(outcome(0, *layers))
        times_ns += [now_ns] * len(previews.take(now_ns))
    assert 40 <= len(times_ns) <= 50
    for begin_ns in times_ns:
        within = [at for at in times_ns if begin_ns <= at < begin_ns + 10 * LEAST_BETWEEN_NS]
        assert len(within) <= 10


def test_a_picture_that_comes_too_early_waits_for_its_turn() -> None:
    previews = Previews()
    previews.is_wanted = True
    previews.keep(outcome(0, "vae"))
    assert len(previews.take(0)) == 1
    previews.keep(outcome(1, "vae"))
    assert previews.take(LEAST_BETWEEN_NS - 1) == []
    assert len(previews.take(LEAST_BETWEEN_NS)) == 1


# What


def test_values_come_back_within_a_step_and_nothing_known_is_zero() -> None:
    values = np.linspace(-3.0, 3.0, 64 * 96).reshape(SHAPE_YX).astype(np.float32)
    values[10:20, 30:40] = np.nan
    found = values_of(Picture("vae", values), SHAPE_YX)
    assert (np.isnan(found) == np.isnan(values)).all()
    known = np.isfinite(values)
    assert np.abs(found - values)[known].max() < 2 * 6.0 / 255


def test_a_clean_place_is_not_shown_as_an_unknown_one() -> None:
    values = np.zeros(SHAPE_YX, np.float32)
    assert (bytes_of(Picture("symmetry", values, signed=False), SHAPE_YX) == 1).all()


def test_severity_is_shown_from_zero_and_its_limit_is_never_the_brightest() -> None:
    values = np.full(SHAPE_YX, 0.4, np.float32)
    header, _ = preview_of(Picture("symmetry", values, signed=False), frame_of(SHAPE_YX), "haadf1")
    assert (header.low, header.high) == (0.0, 2.0)
    values[:] = 7.0
    header, _ = preview_of(Picture("symmetry", values, signed=False), frame_of(SHAPE_YX), "haadf1")
    assert header.high == 7.0


@pytest.mark.parametrize("shape_yx", [(1024, 768), (1500, 600), (3, 4000), (513, 512)])
def test_a_large_picture_is_shrunk_to_what_a_preview_holds(shape_yx: tuple[int, int]) -> None:
    picture = Picture("vae", np.ones(shape_yx, np.float32))
    header, pixels = preview_of(picture, frame_of(shape_yx), "haadf1")
    assert max(header.shape_yx) <= 512
    assert len(pixels) == header.shape_yx[0] * header.shape_yx[1]
    assert header.step_px == -(-max(shape_yx) // 512)


def test_means_of_squares_leave_out_what_is_not_known() -> None:
    values = np.full((1024, 1024), 4.0, np.float32)
    values[::2] = np.nan
    values[:512] = np.nan
    shown = values_of(Picture("vae", values), (1024, 1024))
    assert np.isnan(shown[:256]).all()
    assert shown[256:] == pytest.approx(4.0, abs=0.05)


def test_a_map_on_a_grid_is_shown_where_it_is() -> None:
    """Cell (r, c) of the symmetry map has its centre at pixel (8 r + 7.5, 8 c + 7.5)."""
    shape_yx = (256, 384)
    values = np.zeros((31, 47), np.float32)
    values[10, 20] = 5.0
    picture = Picture("symmetry", values, signed=False, step_px=8.0, first_px_yx=(7.5, 7.5))
    header, _ = preview_of(picture, frame_of(shape_yx), "haadf1")
    shown = bytes_of(picture, shape_yx).astype(np.float64) - 1
    assert header.shape_yx == (32, 48)
    assert header.step_px == 8.0
    rows, columns = np.indices(shown.shape)
    middle = [(shown * at).sum() / shown.sum() for at in (rows, columns)]
    place = [header.step_px * (at + 0.5) - 0.5 for at in middle]
    assert place == pytest.approx([87.5, 167.5], abs=0.2)


def test_beside_what_is_masked_the_rest_is_not_darkened() -> None:
    values = np.full((31, 31), 3.0, np.float32)
    values[:, :15] = np.nan
    picture = Picture("symmetry", values, signed=False, step_px=8.0, first_px_yx=(7.5, 7.5))
    shown = values_of(picture, (256, 256))
    assert np.isnan(shown[:, :15]).all()
    assert shown[:, 15:] == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("signed", [True, False])
def test_a_picture_of_nothing_can_be_sent(signed: bool) -> None:
    nothing = Picture("vae", np.full(SHAPE_YX, np.nan, np.float32), signed=signed)
    assert (bytes_of(nothing, SHAPE_YX) == 0).all()
