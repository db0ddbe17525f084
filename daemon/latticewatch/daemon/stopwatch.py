"""How long the stages of a frame take."""

from latticewatch.daemon.ports import Clock


class Stopwatch:
    """Laps in whole microseconds.

    Attributes
    ----------
    us
        Of each lap.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_ns = clock.monotonic_ns()
        self.us: dict[str, int] = {}

    def lap(self, stage: str) -> None:
        """End a stage; the next one begins."""
        now_ns = self._clock.monotonic_ns()
        self.us[stage] = (now_ns - self._since_ns) // 1000
        self._since_ns = now_ns
