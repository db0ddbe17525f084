"""Pipelines that judge without looking: fast, slow on command, or broken."""

import dataclasses
import threading

import msgspec
from msgspec import UNSET

from latticewatch.daemon.pipeline import Incoming, Outcome
from latticewatch.wire.events import Cut, DefectEvent, FrameRef

MODEL_SET = "00112233aabbccdd"


def verdict(incoming: Incoming) -> Outcome:
    """Nothing found, in the form that the real pipeline gives."""
    header = incoming.header
    event = DefectEvent(
        source=header.source,
        stream="",
        seq=-1,
        journaled=False,
        t_pub_ns=0,
        valid_for_ms=1000,
        frame=FrameRef.from_header(header),
        t_recv_ns=incoming.t_recv_ns,
        latency_us={"queue": incoming.queue_us, "validate": incoming.validate_us, "total": 5},
        context=header.full_context,
        roi=header.full_roi,
        calibrated=header.calibrated,
        outcome="scored",
        quality=(),
        model_set=MODEL_SET,
        detectors=(),
        cut=Cut(rule="fdr", value=0.05),
        n_sites=0,
        n_scored=0,
        defects=(),
        n_defects=0,
        truncated=False,
        dropped_since_last=0,
        missing_since_last=0,
        attrs=None if header.attrs is UNSET else header.attrs,
    )
    stage_us = {"validate": 1, "segment": 1, "features": 1, "score": 1, "total": 5}
    return Outcome(event=event, stage_us=stage_us, n_defects=0)


class FakePipeline:
    """Finds nothing in any frame, and remembers what it was asked.

    Attributes
    ----------
    gate
        Cleared, it holds up the next frame until set again.
    entered
        Set while a frame is in hand.
    """

    def __init__(self) -> None:
        self.seen: list[Incoming] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.quality: tuple[str, ...] = ()
        self.warning = ""
        self.note = ""

    def process(self, incoming: Incoming) -> Outcome:
        self.seen.append(incoming)
        self.entered.set()
        self.gate.wait(20)
        self.entered.clear()
        outcome = dataclasses.replace(verdict(incoming), warning=self.warning, note=self.note)
        if not self.quality:
            return outcome
        event = msgspec.structs.replace(outcome.event, outcome="not_scored", quality=self.quality)
        return dataclasses.replace(outcome, event=event)


class BrokenPipeline:
    """Raises, as only a bug of ours would."""

    def process(self, incoming: Incoming) -> Outcome:
        raise ZeroDivisionError(incoming.header.label)
