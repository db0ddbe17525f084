"""Nanometres from a known material: which header they replace, which they leave, what is said."""

import dataclasses
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from latticewatch.daemon.material import MaterialScale, Scaled
from latticewatch.daemon.pipeline import PipelineSettings
from latticewatch.detectors.lattice import Lattice
from latticewatch.detectors.materials import MATERIALS, known_name
from latticewatch.detectors.pixel_size import PlaneNet
from latticewatch.wire.codec import decode_event, encode
from latticewatch.wire.events import DefectEvent
from latticewatch.wire.frames import FrameHeader, PartialContext, Roi
from latticewatch.wire.geometry import Geometry
from support.crystals import Bench, incoming, specimen
from support.headers import frame

MOS2, SQUARE = MATERIALS["MoS2"], PlaneNet(390.5, 390.5, 90.0)
SHAPE_YX = (384, 512)
PIXEL_PM = 13.1
PLACES = np.array([[0.0, 0.0], [100.5, 3.25], [383.0, 511.0]])


def header(seq: int = 0, **fields: Any) -> FrameHeader:  # noqa: ANN401 - fields of a header
    return frame(seq, shape_yx=SHAPE_YX, **fields)


def calibrated(
    pixel_yx_pm: tuple[float, float],
    **fields: Any,  # noqa: ANN401 - fields of a header
) -> FrameHeader:
    fov = (SHAPE_YX[0] * pixel_yx_pm[0] / 1000, SHAPE_YX[1] * pixel_yx_pm[1] / 1000)
    context = PartialContext(fov_nm_yx=fov, center_nm_yx=(12.5, -3.0), rotation_rad=0.3)
    return header(calibrated=True, context=context, **fields)


def lattice(
    material: PlaneNet = MOS2, pixel_yx_pm: tuple[float, float] = (PIXEL_PM, PIXEL_PM)
) -> Lattice:
    """That of a material, turned a little, in pixels of such sides."""
    cos, sin = math.cos(0.4), math.sin(0.4)
    basis_pm = material.basis_pm @ np.array([[cos, -sin], [sin, cos]])
    return Lattice(basis_pm / pixel_yx_pm, np.empty((0, 2), np.int64), np.empty(0))


def pixels_pm(header: FrameHeader) -> tuple[float, ...]:
    return tuple(1000 * Geometry.from_header(header).pixel_sides)


def test_a_frame_without_calibration_gets_that_of_the_material() -> None:
    scaled = MaterialScale(MOS2).measure(header(), lattice())

    assert scaled.header.calibrated
    assert pixels_pm(scaled.header) == pytest.approx((PIXEL_PM, PIXEL_PM), rel=1e-9)
    assert scaled.header.full_context.center_nm_yx == (0.0, 0.0)
    assert scaled.warning == ""
    assert scaled.pixel_size is not None
    assert scaled.pixel_size.source == "material"
    assert scaled.pixel_size.size_pm == pytest.approx(PIXEL_PM)
    assert scaled.pixel_size.error_pm < 1e-6


def test_the_material_wins_over_the_header_and_keeps_its_centre_and_turn() -> None:
    given = calibrated((13.0, 13.0))

    scaled = MaterialScale(MOS2).measure(given, lattice())

    context = scaled.header.full_context
    assert pixels_pm(scaled.header) == pytest.approx((PIXEL_PM, PIXEL_PM), rel=1e-9)
    assert (context.center_nm_yx, context.rotation_rad) == ((12.5, -3.0), 0.3)
    assert scaled.warning == ""  # less than one per cent


def test_without_a_material_nothing_changes() -> None:
    given = calibrated((13.0, 14.0))

    assert MaterialScale(None).measure(given, lattice()) == Scaled(given)


@pytest.mark.parametrize(
    "given",
    [
        header(context=PartialContext(size_yx=(600, 2048)), roi=Roi(rotation_rad=0.4)),
        calibrated((13.0, 17.0), roi=Roi(size_frac_yx=(0.5, 0.25), rotation_rad=-1.0)),
    ],
    ids=["uncalibrated", "calibrated"],
)
def test_fractions_to_steer_by_stay_what_they_were(given: FrameHeader) -> None:
    sides = Geometry.from_header(given).pixel_sides
    own = PIXEL_PM * sides / np.sqrt(np.prod(sides))

    scaled = MaterialScale(MOS2).measure(given, lattice(pixel_yx_pm=(own[0], own[1])))

    # Pixels of the frame are no squares, and the lattice is not one of the material in pixels.
    assert pixels_pm(scaled.header) == pytest.approx(tuple(own), rel=1e-9)
    before, after = (
        Geometry.from_header(one).to_fraction(PLACES) for one in (given, scaled.header)
    )
    assert np.allclose(before, after, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "told"),
    [(header(), "no size of a pixel is known"), (calibrated((12.0, 12.0)), "pixels stay 12.00 pm")],
)
def test_another_lattice_leaves_the_header_and_is_told_once(given: FrameHeader, told: str) -> None:
    scale = MaterialScale(SQUARE)

    first, second = (scale.measure(given, lattice()) for _ in range(2))

    assert (first.header, first.pixel_size) == (given, None)
    assert "24.1 x 24.1 px at 60 degrees" in first.warning
    assert "390.5 x 390.5 pm at 90 degrees" in first.warning
    assert told in first.warning
    assert second.warning == ""


@pytest.mark.parametrize(("header_pm", "warns"), [(12.8, False), (12.0, True), (14.0, True)])
def test_a_header_that_is_off_is_told_once_with_both_sizes(header_pm: float, warns: bool) -> None:
    scale, given = MaterialScale(MOS2), calibrated((header_pm, header_pm))

    warnings = [scale.measure(given, lattice()).warning for _ in range(3)]

    assert bool(warnings[0]) is warns
    assert warnings[1:] == ["", ""]
    if warns:
        assert "13.10 pm by the material" in warnings[0]
        assert f"{header_pm:.2f} pm without it" in warnings[0]


def test_the_size_stays_while_the_same_field_is_looked_at() -> None:
    scale = MaterialScale(MOS2)
    first = scale.measure(header(), lattice())

    noisy = scale.measure(header(1), lattice(pixel_yx_pm=(13.11, 13.12)))
    blank = scale.measure(header(2), None)

    assert noisy.header.context == blank.header.context == first.header.context
    assert noisy.pixel_size == blank.pixel_size == first.pixel_size


def test_another_magnification_is_noticed_where_the_header_is_silent() -> None:
    scale = MaterialScale(MOS2)
    scale.measure(header(), lattice())

    odd = scale.measure(header(1), lattice(pixel_yx_pm=(20.0, 20.0)))
    scaled = scale.measure(header(2), lattice(pixel_yx_pm=(20.0, 20.0)))

    # One odd frame does not change the field of view.
    assert pixels_pm(odd.header) == pytest.approx((13.1, 13.1), rel=1e-3)
    assert pixels_pm(scaled.header) == pytest.approx((20.0, 20.0))


def test_one_frame_that_is_not_the_material_keeps_the_size_and_two_do_not() -> None:
    scale = MaterialScale(MOS2)
    known = scale.measure(header(), lattice()).pixel_size
    stretched = lattice(pixel_yx_pm=(13.1, 15.0))

    odd = scale.measure(header(1), stretched)
    again = scale.measure(header(2), lattice())

    assert odd.pixel_size == again.pixel_size == known
    assert "pixels stay 13.10 pm" in odd.warning
    scale.measure(header(3), stretched)
    assert scale.measure(header(4), stretched).pixel_size is None


@pytest.mark.parametrize(
    "changes",
    [{"session": "f" * 32}, {"roi": Roi(size_frac_yx=(0.5, 0.5))}],
    ids=["session", "roi"],
)
def test_another_field_is_measured_by_itself(changes: dict[str, Any]) -> None:
    scale = MaterialScale(MOS2)
    scale.measure(header(), lattice())

    assert not scale.measure(header(1, **changes), None).header.calibrated
    assert not scale.geometry(header(2)).calibrated


def test_events_tell_picometres_by_the_material() -> None:
    bench = Bench(settings=PipelineSettings(material=MOS2))
    pixels, truth = specimen(shape_yx=SHAPE_YX, seed=4)

    event = bench.judge(pixels)

    assert truth.period_px > 20
    assert event.calibrated
    assert isinstance(event.pixel_size, msgspec.Struct)
    assert event.pixel_size.size_pm == pytest.approx(PIXEL_PM, rel=0.005)
    assert event.lattice is not None
    assert event.lattice.period_nm == pytest.approx(0.316, rel=1e-4)
    middle = (np.array(SHAPE_YX) - 1) / 2
    assert event.defects
    for defect in event.defects:
        expected = (np.array(defect.pixel_yx) - middle) * event.pixel_size.size_pm / 1000
        assert defect.nm_yx == pytest.approx(tuple(expected), abs=1e-9)


def test_drift_is_told_in_nanometres_by_the_material() -> None:
    large = specimen(shape_yx=(400, 400), perfect=True, seed=4)[0]
    bench = Bench(settings=PipelineSettings(material=MOS2))

    def judge(seq: int, y: int) -> DefectEvent:
        window = np.ascontiguousarray(large[y : y + 320, 30:350])
        outcome = bench.pipeline.process(
            dataclasses.replace(incoming(window, seq=seq, t_complete_ns=10**9 * (seq + 1)))
        )
        return decode_event(encode(outcome.event))

    judge(0, 20)
    drift = judge(1, 24).drift

    assert drift is not None
    assert drift.offset_nm_yx == pytest.approx((-4 * PIXEL_PM / 1000, 0.0), abs=0.003)
    assert drift.rate_nm_s_yx == pytest.approx((-4 * PIXEL_PM / 1000, 0.0), abs=0.003)


def test_names_are_found_whatever_their_capitals() -> None:
    assert [known_name(name.upper()) for name in MATERIALS] == list(MATERIALS)
    assert known_name("MoS3") is None
