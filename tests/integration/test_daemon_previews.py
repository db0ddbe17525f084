"""Previews through real sockets: only while somebody looks, and never in the way of events."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from latticewatch.adapters.native import FrameSender
from latticewatch.client import DefectClient, PreviewClient, ReceiveTimeout
from latticewatch.daemon.lifecycle import Daemon
from latticewatch.daemon.outcome import Outcome
from latticewatch.daemon.pipeline import Incoming
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.previews import Previews
from latticewatch.daemon.runtime import Analysis
from latticewatch.daemon.sights import Picture
from support.daemons import listening_to, make_settings, running_daemon
from support.headers import SOURCE
from support.pipelines import FakePipeline
from support.waiting import wait_until
from support.zeromq import open_context

PIXELS = np.arange(64 * 96, dtype="<u2").reshape(64, 96)
T_NS = 1_790_000_000_123_456_789


class DrawingPipeline(FakePipeline):
    """Draws a picture of a frame where one is due, with the number of the frame in it."""

    def __init__(self, previews: Previews) -> None:
        super().__init__()
        self.previews = previews
        self.n_drawn = 0

    def process(self, incoming: Incoming) -> Outcome:
        outcome = super().process(incoming)
        if not self.previews.is_due(SystemClock().monotonic_ns()):
            return outcome
        self.n_drawn += 1
        values = np.full((64, 96), incoming.header.seq, np.float32)
        values[:32] = np.nan
        return replace(outcome, pictures=(Picture("symmetry", values, signed=False),))


@dataclass
class Scene:
    """A daemon that draws, a source and a client of events."""

    daemon: Daemon
    pipeline: DrawingPipeline
    client: DefectClient
    sender: FrameSender

    def send(self) -> int:
        """Send a frame, wait for its event, and give its number."""
        assert self.sender.wait_for_peer(5)
        assert self.sender.send(PIXELS, t_complete_ns=T_NS, t_source="software")
        return self.client.receive(timeout_s=5).frame.seq

    @property
    def n_sent(self) -> float | None:
        return self.daemon.books.metrics.registry.get_sample_value(
            "latticewatch_previews_sent_total"
        )


@contextmanager
def scene() -> Iterator[Scene]:
    previews = Previews()
    pipeline = DrawingPipeline(previews)
    with (
        running_daemon(pipeline, settings=make_settings(), previews=previews) as daemon,
        listening_to(daemon) as client,
        open_context() as context,
        FrameSender(
            context=context, endpoint=daemon.receiver.endpoint, source=SOURCE, mode="live"
        ) as sender,
    ):
        yield Scene(daemon, pipeline, client, sender)


def test_while_nobody_looks_no_picture_is_drawn() -> None:
    with scene() as at:
        for _ in range(5):
            at.send()
        assert (at.pipeline.n_drawn, at.n_sent) == (0, 0)


def test_whoever_looks_sees_the_map_of_a_frame_and_events_go_on() -> None:
    with scene() as at, PreviewClient(SOURCE, events=at.daemon.publisher.endpoint) as previews:
        assert wait_until(lambda: at.pipeline.previews.is_wanted)
        seq = at.send()
        preview = previews.receive(5)
        assert (preview.frame.seq, preview.layer, preview.shape_yx) == (seq, "symmetry", (64, 96))
        shown = np.frombuffer(preview.pixels, np.uint8).reshape(preview.shape_yx)
        assert (shown[:32] == 0).all()
        assert (shown[32:] > 0).all()
        assert wait_until(lambda: at.n_sent == 1)
        for _ in range(20):
            seq = at.send()
        assert wait_until(lambda: at.pipeline.n_drawn >= 1)
        assert at.client.gaps == ()


def test_once_everybody_left_no_more_pictures_are_drawn() -> None:
    with scene() as at:
        with PreviewClient(SOURCE, events=at.daemon.publisher.endpoint) as previews:
            assert wait_until(lambda: at.pipeline.previews.is_wanted)
            at.send()
            previews.receive(5)
        assert wait_until(lambda: not at.pipeline.previews.is_wanted)
        n_drawn = at.pipeline.n_drawn
        for _ in range(5):
            at.send()
        assert at.pipeline.n_drawn == n_drawn


def test_previews_of_another_source_are_not_asked_for() -> None:
    with scene() as at, PreviewClient("other", events=at.daemon.publisher.endpoint) as previews:
        at.send()
        with pytest.raises(ReceiveTimeout):
            previews.receive(0.1)
        assert at.pipeline.n_drawn == 0


def test_an_analysis_has_previews_of_its_own() -> None:
    one, other = (
        Analysis(pipeline=FakePipeline(), model_set="0" * 16, models=[]) for _ in range(2)
    )
    assert one.previews is not other.previews
