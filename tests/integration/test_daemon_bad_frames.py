"""Frames whose pixels are bad, through sockets and the real pipeline: said so, never invented."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.adapters.native import FrameSender
from latticewatch.client.stream import DefectClient
from latticewatch.daemon.lifecycle import Daemon
from latticewatch.daemon.logs import LogBook, make_logger
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.runtime import build_daemon, load_analysis
from latticewatch.simulator.microscope import Microscope
from latticewatch.simulator.settings import MicroscopeSettings
from support.daemons import listening_to, make_settings
from support.headers import SOURCE
from support.zeromq import open_context

pytestmark = pytest.mark.fault

Image = NDArray[np.generic]
SHAPE_YX = (384, 384)
GOOD, _ = Microscope(MicroscopeSettings(shape_yx=SHAPE_YX, seed=3)).frame(0)
RNG = np.random.default_rng(11)


def with_nan(fraction: float) -> Image:
    image = GOOD.astype("<f4")
    image[RNG.random(SHAPE_YX) < fraction] = np.nan
    return image


# Name: pixels, and the quality words of which the event must say at least one; where there are
# any, nothing may be scored.
BAD: dict[str, tuple[Image, set[str]]] = {
    "all zero": (np.zeros(SHAPE_YX, "<u2"), {"constant"}),
    "constant": (np.full(SHAPE_YX, 700, "<u2"), {"constant"}),
    "all saturated": (np.full(SHAPE_YX, 65535, "<u2"), {"saturated", "constant"}),
    "all NaN": (np.full(SHAPE_YX, np.nan, "<f4"), {"nonfinite"}),
    "all infinite": (np.full(SHAPE_YX, np.inf, "<f4"), {"nonfinite"}),
    "vacuum": (RNG.poisson(3.0, SHAPE_YX).astype("<u2"), {"not_periodic"}),
    "noise": (RNG.normal(size=SHAPE_YX).astype("<f4"), {"not_periodic"}),
    "huge": (np.full(SHAPE_YX, 3e38, "<f4"), {"constant", "nonfinite"}),
    "smallest frame": (np.arange(256, dtype="<u2").reshape(16, 16), {"not_periodic"}),
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    clock = SystemClock()
    settings = make_settings()
    daemon = build_daemon(
        settings=settings,
        analysis=load_analysis(settings, clock=clock),
        log=LogBook(
            logger=make_logger(form="json", level="info", stream=io.StringIO()), clock=clock
        ),
        clock=clock,
    )
    daemon.start()
    yield daemon
    assert daemon.stop() == 0


class Link:
    """A source and a client of one daemon."""

    def __init__(self, sender: FrameSender, client: DefectClient) -> None:
        self._sender = sender
        self._client = client

    def ask(self, pixels: Image) -> "tuple[str, set[str], list[tuple[float, float]]]":
        assert self._sender.wait_for_peer(5)
        n_before = self._sender.n_acquired
        sent = np.ascontiguousarray(pixels)
        assert self._sender.send(sent, t_complete_ns=1, t_source="software")
        event = self._client.receive(timeout_s=20)
        assert event.frame.seq == n_before
        places = [(defect.pixel_yx[0], defect.pixel_yx[1]) for defect in event.defects]
        return event.outcome, set(event.quality), places


@pytest.fixture
def link(daemon: Daemon) -> Iterator[Link]:
    with (
        open_context() as context,
        listening_to(daemon) as client,
        FrameSender(context=context, endpoint=daemon.receiver.endpoint, source=SOURCE) as sender,
    ):
        yield Link(sender, client)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_said_to_be_one_and_the_next_good_frame_is_answered(
    name: str, link: Link
) -> None:
    pixels, words = BAD[name]
    outcome, quality, places = link.ask(pixels)
    assert (outcome, places) == ("not_scored", [])
    assert quality & words
    outcome, quality, places = link.ask(GOOD)
    assert (outcome, quality) == ("scored", set())
    assert places


@pytest.mark.parametrize("dtype", [">u2", "<u4", "<f4"])
def test_the_same_counts_in_another_type_give_the_same_defects(dtype: str, link: Link) -> None:
    link.ask(GOOD)  # from the next one on the lattice is followed
    outcome, quality, places = link.ask(GOOD)
    again = link.ask(GOOD.astype(dtype))
    assert (outcome, quality) == again[:2]
    np.testing.assert_allclose(again[2], places, atol=0.01)


def test_a_few_dead_pixels_are_told_and_the_rest_is_scored(link: Link) -> None:
    outcome, quality, _ = link.ask(with_nan(1e-4))
    assert outcome == "scored"
    assert "nonfinite" in quality


def test_another_shape_in_mid_stream_is_answered(link: Link) -> None:
    assert link.ask(GOOD[:300, :257])[0] == "scored"
    assert link.ask(GOOD)[0] == "scored"
