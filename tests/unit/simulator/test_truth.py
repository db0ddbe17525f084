"""Truth fits into a header, whatever the number of defects."""

import msgspec
import pytest

from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.simulator.sources import simulated_shots
from latticewatch.simulator.truth import MAX_DEFECTS_IN_HEADER
from latticewatch.wire.codec import encode
from latticewatch.wire.frames import HEADER_BYTES_MAX, FrameHeader


def header_bytes(settings: MicroscopeSettings) -> bytes:
    shot = next(simulated_shots(Microscope(settings), n_frames=1, tell_truth=True))
    return encode(
        FrameHeader(
            source="a-name-as-long-as-they-may-be-32",
            session="0" * 32,
            seq=2**62,
            shape_yx=settings.shape_yx,
            dtype="<u2",
            t_complete_ns=2**62,
            dropped=2**61,
            **shot.fields,
        )
    )


@pytest.mark.parametrize("n_displaced", [10, 400, 1400])
def test_a_header_with_many_defects_stays_within_its_limit(n_displaced: int) -> None:
    settings = MicroscopeSettings(
        shape_yx=(4096, 2048), vacancies=0, substitutions=0, displaced=n_displaced
    )
    header = header_bytes(settings)
    assert len(header) <= HEADER_BYTES_MAX
    truth = msgspec.msgpack.decode(header)["attrs"]["truth"]
    assert len(truth["pixel_yx"]) == len(truth["kind"])
    if n_displaced > MAX_DEFECTS_IN_HEADER:
        assert truth["truncated"]
        assert truth["n_defects"] >= n_displaced
        assert len(truth["kind"]) == MAX_DEFECTS_IN_HEADER
    else:
        assert "truncated" not in truth
        assert len(truth["kind"]) >= n_displaced


def test_the_map_has_the_agreed_keys() -> None:
    truth = Microscope(MicroscopeSettings()).truth(0).attrs()["truth"]
    assert list(truth) == ["v", "pixel_yx", "kind", "crystal", "period_px", "n_columns"]
    assert truth["v"] == 1
    assert truth["crystal"] == "mos2"
    assert truth["period_px"] == pytest.approx(24.12, abs=0.01)
    assert all(isinstance(side, float) for place in truth["pixel_yx"] for side in place)


def test_truth_stays_unsaid_unless_asked_for() -> None:
    microscope = Microscope(MicroscopeSettings(shape_yx=(64, 64)))
    shot = next(simulated_shots(microscope, n_frames=1, tell_truth=False))
    assert "attrs" not in shot.fields
