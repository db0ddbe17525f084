"""The golden defect events."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from latticewatch.wire.codec import pack_attrs
from latticewatch.wire.events import (
    Cut,
    Defect,
    DefectEvent,
    DetectorState,
    Drift,
    FrameRef,
    LatticeState,
    Track,
    TrackEnd,
)
from latticewatch.wire.frames import Context, Roi
from latticewatch.wire.geometry import Geometry
from latticewatch.wire.motifs import Motif, MotifChange
from latticewatch.wire.scales import PixelSizeState

Pair = tuple[float, float]

SOURCE: Final = "haadf1"
SESSION: Final = "5f0c3a1e9b7d4c2688aa01f3d2e47b90"
STREAM: Final = "0d9b3f6a5c1e48a7b2c4d6e8f0a1b3c5"
T_NS: Final = 1_790_000_000_123_456_789
SHA256: Final = "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"


def event_messages() -> dict[str, DefectEvent]:
    """Every golden event, by name."""
    none = _event_none()
    return {
        "event_none": none,
        "event_two_defects": _event_with_two(none),
        "event_not_scored": _event_not_scored(none),
        "event_uncalibrated": _event_uncalibrated(none),
        "event_truncated": _event_with_many(none, n_listed=3, n_found=700),
        "event_partial": _event_partial(none),
        "event_256_defects": _event_with_many(none, n_listed=256, n_found=256),
        "event_outlines": _event_with_outlines(none),
        "event_pixel_size": _event_with_pixel_size(none),
        "event_late": _event_late(none),
        "event_late_none": _event_late_none(none),
        "event_motifs": _event_with_motifs(none),
    }


def _event_none() -> DefectEvent:
    """The frame of the protocol's example, scored, with nothing found."""
    return DefectEvent(
        source=SOURCE,
        stream=STREAM,
        seq=37,
        journaled=False,
        t_pub_ns=T_NS + 21_500_000,
        valid_for_ms=1000,
        frame=FrameRef(
            session=SESSION,
            seq=41,
            shape_yx=(128, 192),
            part=0,
            valid_rows=128,
            complete=True,
            channel="HAADF",
            scan_id="8f0e7c52-6a0b-4c1d-9e2f-3a4b5c6d7e8f",
            frame_index=17,
            t_start_ns=T_NS - 50_000_000,
            t_complete_ns=T_NS,
            t_source="software",
            command_id="c41d07a2",
        ),
        t_recv_ns=T_NS + 1_200_000,
        latency_us={
            "queue": 150,
            "validate": 60,
            "lattice": 4200,
            "patterson": 9100,
            "total": 13510,
        },
        context=_context(),
        roi=Roi(center_frac_yx=(0.40, 0.65), size_frac_yx=(0.25, 0.1875), rotation_rad=0.2),
        calibrated=True,
        outcome="scored",
        quality=(),
        model_set="a1b2c3d4e5f60718",
        detectors=(
            DetectorState(name="patterson", artifact="mos2-v1", sha256=SHA256, state="ok", us=9100),
        ),
        cut=Cut(rule="fdr", value=0.05),
        n_sites=312,
        n_scored=280,
        lattice=LatticeState(
            a_px_yx=(0.0, 10.5),
            b_px_yx=(9.1, 5.25),
            origin_px_yx=(63.5, 95.5),
            rms_px=0.21,
            period_nm=0.316,
            domains=1,
        ),
        defects=(),
        n_defects=0,
        truncated=False,
        dropped_since_last=0,
        missing_since_last=0,
    )


def _context() -> Context:
    return Context(
        size_yx=(512, 1024), fov_nm_yx=(8.0, 16.0), center_nm_yx=(1.5, -2.0), rotation_rad=0.3
    )


def _event_with_two(event: DefectEvent) -> DefectEvent:
    """The place of the worked example with everything known, and one with nothing optional."""
    frac_yx, nm_yx = _place(event, (40.25, 150.5))
    known = Defect(
        i=0,
        kind="vacancy",
        kind_p=0.875,
        label="S vacancy",
        score=6.25,
        p_value=2.0e-10,
        q_value=5.6e-08,
        scores=(("patterson", 11.5, 2.0e-10),),
        pixel_yx=(40.25, 150.5),
        frac_yx=frac_yx,
        nm_yx=nm_yx,
        cov_px=(0.04, 0.01, 0.09),
        site=(4, -2, 1),
        extent_px=5.0,
        intensity_ratio=0.5,
        displacement_px_yx=(0.25, -0.5),
        displacement_pm=9.75,
        edge=False,
        flags=("tail_p",),
        track=Track(
            id=3,
            state="confirmed",
            first_seq=12,
            seen=29,
            hits=28,
            log_e=61.5,
            p_seq=1.9e-27,
            trend="stable",
            previous_kind="deficit",
        ),
    )
    return msgspec.structs.replace(
        event,
        seq=38,
        quality=("saturated",),
        drift=Drift(
            ok=True,
            ref_seq=0,
            offset_frac_yx=(0.001, -0.002),
            cov_frac=(1.0e-08, 0.0, 1.0e-08),
            offset_nm_yx=(0.008, -0.032),
            rate_nm_s_yx=(0.02, -0.08),
        ),
        defects=(known, _plain_defect(event, 1, edge=True)),
        n_defects=2,
        tracks_ended=(TrackEnd(id=1, reason="out_of_view"),),
        dropped_since_last=1,
        missing_since_last=2,
        attrs=pack_attrs({"high_tension_v": 200_000, "blob": b"\x00\xff", "list": [1, 2.5, None]}),
    )


def _place(event: DefectEvent, pixel_yx: Pair) -> tuple[Pair, Pair | None]:
    """Fractions and nanometres, rounded so that every machine computes the same bytes."""
    geometry = Geometry(
        shape_yx=event.frame.shape_yx,
        context=event.context,
        roi=event.roi,
        calibrated=event.calibrated,
    )
    frac_yx = _rounded(geometry.to_fraction(np.array(pixel_yx)))
    return frac_yx, (_rounded(geometry.to_nm(np.array(pixel_yx))) if event.calibrated else None)


def _rounded(place: NDArray[np.float64]) -> Pair:
    return round(float(place[0]), 8), round(float(place[1]), 8)


def _plain_defect(event: DefectEvent, index: int, *, edge: bool = False) -> Defect:
    """A defect without optional values; every number follows from the index."""
    pixel_yx = (1.5 + index / 4, 190.0 - index / 2)
    frac_yx, nm_yx = _place(event, pixel_yx)
    return Defect(
        i=index,
        kind="unknown",
        score=6.0 - index / 64,
        p_value=(index + 1) / 2**30,
        q_value=(index + 1) / 2**22,
        scores=(("patterson", 9.0 - index / 64, (index + 1) / 2**30),),
        pixel_yx=pixel_yx,
        frac_yx=frac_yx,
        nm_yx=nm_yx,
        cov_px=(0.0625, 0.0, 0.0625),
        extent_px=5.0,
        edge=edge,
        flags=(),
    )


def _event_not_scored(event: DefectEvent) -> DefectEvent:
    return msgspec.structs.replace(
        event,
        seq=39,
        outcome="not_scored",
        quality=("not_periodic", "low_dose"),
        n_sites=0,
        n_scored=0,
        lattice=None,
    )


def _event_uncalibrated(event: DefectEvent) -> DefectEvent:
    """A source that says nothing but what it must."""
    frame = msgspec.structs.replace(
        event.frame,
        seq=43,
        channel=None,
        scan_id=None,
        frame_index=None,
        t_start_ns=None,
        command_id=None,
    )
    assert event.lattice is not None
    plain = msgspec.structs.replace(
        event,
        seq=40,
        frame=frame,
        context=Context(size_yx=(128, 192)),
        roi=Roi(),
        calibrated=False,
        cut=Cut(rule="per_frame", value=0.1),
        lattice=msgspec.structs.replace(event.lattice, period_nm=None),
    )
    return msgspec.structs.replace(plain, defects=(_plain_defect(plain, 0),), n_defects=1)


def _event_with_many(event: DefectEvent, *, n_listed: int, n_found: int) -> DefectEvent:
    return msgspec.structs.replace(
        event,
        seq=41,
        defects=tuple(_plain_defect(event, index) for index in range(n_listed)),
        n_defects=n_found,
        truncated=n_found > n_listed,
    )


def _event_partial(event: DefectEvent) -> DefectEvent:
    frame = msgspec.structs.replace(event.frame, seq=42, part=3, valid_rows=96, complete=False)
    return msgspec.structs.replace(event, seq=42, frame=frame, quality=("truncated_rows",))


def _event_with_outlines(event: DefectEvent) -> DefectEvent:
    """A twin boundary from edge to edge, an amorphous patch, and a defect without an outline."""
    boundary = msgspec.structs.replace(
        _plain_defect(event, 0),
        kind="boundary",
        extent_px=72.25,
        outline_px_yx=((0.0, 20.5), (60.25, 95.5), (127.0, 191.0)),
    )
    amorphous = msgspec.structs.replace(
        _plain_defect(event, 1),
        kind="amorphous",
        extent_px=12.5,
        outline_px_yx=((-1.0, 4.0), (10.5, 4.0), (10.5, 29.0), (-1.0, 29.0)),
    )
    return msgspec.structs.replace(
        event, seq=44, defects=(boundary, amorphous, _plain_defect(event, 2)), n_defects=3
    )


def _event_with_pixel_size(event: DefectEvent) -> DefectEvent:
    """Nanometres by a known material."""
    context = msgspec.structs.replace(event.context, fov_nm_yx=(8.064, 16.128))
    size = PixelSizeState(source="material", size_pm=15.75, error_pm=0.0625)
    return msgspec.structs.replace(event, seq=45, context=context, pixel_size=size)


def _event_late(event: DefectEvent) -> DefectEvent:
    """What a slow detector adds to the first event of its frame, and what it saw again."""
    return msgspec.structs.replace(
        _event_late_none(event),
        seq=46,
        defects=(_plain_defect(event, 0),),
        n_defects=1,
        confirms=(0, 1),
    )


def _event_with_motifs(event: DefectEvent) -> DefectEvent:
    """Defects that a motif model named, one far from all it knows, and two sites that changed."""
    vacancy = msgspec.structs.replace(
        _plain_defect(event, 0),
        kind="deficit",
        label="1S vacancy",
        site=(4, -2, 1),
        intensity_ratio=0.5,
        motif=Motif(id=3, p=0.984375, distance=1.75, role="defect"),
    )
    new = msgspec.structs.replace(
        _plain_defect(event, 1),
        label="new",
        motif=Motif(id=0, p=1.0, distance=17.25, role="new"),
    )
    changes = [
        _motif_change(event, (12, 3, 1), (60.5, 33.25), ((2, "S"), (3, "1S vacancy"))),
        _motif_change(event, (13, 3, 0), (66.5, 39.25), ((1, "W"), (0, "new"))),
    ]
    return msgspec.structs.replace(
        event,
        seq=48,
        defects=(vacancy, new, _plain_defect(event, 2)),
        n_defects=3,
        motif_changes=tuple(changes),
    )


def _motif_change(
    event: DefectEvent,
    site: tuple[int, int, int],
    pixel_yx: Pair,
    classes: tuple[tuple[int, str], tuple[int, str]],
) -> MotifChange:
    (before, before_label), (after, after_label) = classes
    return MotifChange(
        site=site,
        pixel_yx=pixel_yx,
        frac_yx=_place(event, pixel_yx)[0],
        before=before,
        after=after,
        before_label=before_label,
        after_label=after_label,
        p=0.96875,
    )


def _event_late_none(event: DefectEvent) -> DefectEvent:
    """A slow detector that has nothing to add."""
    state = DetectorState(name="vae", artifact="mos2-vae", sha256=SHA256, state="ok", us=31_000)
    return msgspec.structs.replace(
        event,
        seq=47,
        t_pub_ns=T_NS + 61_500_000,
        latency_us={"queue": 900, "vae": 31_000, "fuse": 90, "total": 46_100},
        detectors=(state,),
        n_scored=250,
        stage="late",
        confirms=(),
    )
