"""The client of previews: pictures of a real publisher on loopback, and messages that are none."""

from typing import Any

import msgpack
import pytest

from latticewatch.client import ClientClosed, PreviewClient, ReceiveTimeout, UnsupportedVersion
from latticewatch.client.errors import BadMessage
from latticewatch.client.previews import read_preview
from latticewatch.wire.codec import decode_preview
from support.golden import read_golden
from support.publishing import SOURCE, publisher

SHAPE_YX = (128, 192)
PIXELS = bytes(SHAPE_YX[0] * SHAPE_YX[1])


def parts(**changes: object) -> list[bytes]:
    header: dict[str, Any] = msgpack.unpackb(read_golden("preview")[0]) | changes
    return [f"pv/{SOURCE}/".encode(), msgpack.packb(header), PIXELS]


def of_frame(seq: int, **changes: object) -> list[bytes]:
    return parts(frame={"session": "5" * 32, "seq": seq}, **changes)


def test_golden_preview_reads_as_the_codec_reads_it() -> None:
    body = read_golden("preview")[0]
    preview, theirs = read_preview([b"", body, PIXELS]), decode_preview(body)
    for name in ("v", "type", "source", "layer", "shape_yx", "step_px", "low", "high"):
        assert getattr(preview, name) == getattr(theirs, name)
    assert (preview.frame.session, preview.frame.seq) == (theirs.frame.session, theirs.frame.seq)
    assert preview.pixels == PIXELS


@pytest.mark.parametrize(
    "broken",
    [
        parts()[:2],
        [*parts(), b"more"],
        [parts()[0], parts()[1], PIXELS[:-1]],
        parts(type="status"),
        parts(shape_yx=[0, 192]),
        parts(shape_yx=[513, 192]),
        parts(shape_yx=[-128, -192]),
        parts(shape_yx="128x192"),
        parts(low=float("nan")),
        parts(frame=None),
        [b"", b"\xc1", PIXELS],
    ],
)
def test_what_is_no_preview_is_refused(broken: list[bytes]) -> None:
    with pytest.raises(BadMessage):
        read_preview(broken)


def test_another_version_is_the_installations_fault() -> None:
    with pytest.raises(UnsupportedVersion):
        read_preview(parts(v=2))


def test_each_layer_comes_and_what_cannot_be_read_is_counted() -> None:
    with publisher() as daemon, PreviewClient(SOURCE, events=daemon.endpoint) as client:
        daemon.wait_for(1)
        daemon.send(parts()[:2], of_frame(1, layer="vae"), of_frame(1, layer="symmetry"))
        got = [client.receive(10) for _ in range(2)]
    assert {preview.layer for preview in got} == {"vae", "symmetry"}
    assert client.n_unreadable == 1
    assert client.last_unreadable is not None


def test_who_is_slow_gets_the_newest_picture() -> None:
    with publisher() as daemon, PreviewClient(SOURCE, events=daemon.endpoint) as client:
        daemon.wait_for(1)
        daemon.send(*[of_frame(seq) for seq in range(300)])
        seen = [next(client).frame.seq]
        while seen[-1] < 299:
            seen.append(next(client).frame.seq)
        # One, unless the machine itself is slow.
        assert len(seen) < 100
        assert seen == sorted(seen)
        with pytest.raises(ReceiveTimeout, match="no preview within"):
            client.receive(0.01)


def test_layers_without_end_fill_no_memory() -> None:
    with publisher() as daemon, PreviewClient(SOURCE, events=daemon.endpoint) as client:
        daemon.wait_for(1)
        daemon.send(*[of_frame(seq, layer=f"map{seq}") for seq in range(100)])
        seen = [next(client).layer]
        while seen[-1] != "map99":
            seen.append(next(client).layer)
        assert len(client._newest) <= 16


def test_without_pictures_the_call_ends_in_time() -> None:
    with publisher() as daemon, PreviewClient(SOURCE, events=daemon.endpoint) as client:
        with pytest.raises(ReceiveTimeout):
            client.receive(0.0)
        with pytest.raises(ReceiveTimeout):
            client.receive(0.02)


def test_a_closed_client_says_so() -> None:
    with publisher() as daemon:
        client = PreviewClient(SOURCE, events=daemon.endpoint, timeout_s=1)
        client.close()
        client.close()
        with pytest.raises(ClientClosed):
            client.receive()
