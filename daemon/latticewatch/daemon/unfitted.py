"""The event of a frame that no model could be made for: what is known, which is not the score."""

from latticewatch.daemon.exchange import Incoming
from latticewatch.daemon.pixel_check import PixelCheck
from latticewatch.detectors.lattice import find_lattice
from latticewatch.wire.events import Cut, DefectEvent, FrameRef

NO_MODEL = "0" * 16


def event_without_model(incoming: Incoming, cut: Cut) -> DefectEvent:
    """Say that nothing is known of a frame, and why as far as its pixels tell.

    Parameters
    ----------
    incoming
        As the pipeline would receive it.
    cut
        What would have decided.
    """
    header = incoming.header
    checked = PixelCheck().check(incoming.pixels, header.full_scale)
    has_lattice = checked.usable and find_lattice(checked.image) is not None
    doubts = () if has_lattice else ("not_periodic",)
    return DefectEvent(
        source=header.source,
        stream="",
        seq=-1,
        journaled=False,
        t_pub_ns=0,
        valid_for_ms=0,
        frame=FrameRef.from_header(header),
        t_recv_ns=incoming.t_recv_ns,
        latency_us={"total": 0},
        context=header.full_context,
        roi=header.full_roi,
        calibrated=header.calibrated,
        outcome="not_scored",
        quality=(*checked.quality, *doubts, "model_missing", "replay"),
        model_set=NO_MODEL,
        detectors=(),
        cut=cut,
        n_sites=0,
        n_scored=0,
        defects=(),
        n_defects=0,
        truncated=False,
        dropped_since_last=0,
        missing_since_last=0,
    )
