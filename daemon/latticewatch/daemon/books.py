"""What the threads of the daemon keep in common: counters, state, notes and the clock."""

from dataclasses import dataclass

from latticewatch.daemon.accounting import FrameAccounting
from latticewatch.daemon.logs import LogBook
from latticewatch.daemon.metrics import Metrics
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.presence import Presence, Readiness

__all__ = ["Books"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything in here may be used from any thread and waits for nothing.

    Attributes
    ----------
    accounting
        The fate of every frame.
    presence
        Whether the source is there.
    readiness
        Whether frames are answered, and why not.
    metrics, log
        For Prometheus; for the operator.
    clock
        The only one that the threads look at.
    """

    accounting: FrameAccounting
    presence: Presence
    readiness: Readiness
    metrics: Metrics
    log: LogBook
    clock: Clock
