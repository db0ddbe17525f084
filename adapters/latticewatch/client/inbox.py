"""What was received and what is missing: the bookkeeping both clients share; no sockets."""

import dataclasses
import math
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from latticewatch.client.decoding import to_message, unpack
from latticewatch.client.errors import BadMessage, DaemonLost, ReceiveTimeout
from latticewatch.client.messages import DefectEvent, Heartbeat, Message

Topic = Literal["ev", "st"]
TOPICS: Final[tuple[Topic, ...]] = ("ev", "st")

HEARTBEAT_S: Final = 0.25
LOST_AFTER_S: Final = 3 * HEARTBEAT_S

# Chosen: a client that loses more has other worries, and a list may not grow for months.
_GAPS_KEPT: Final = 1000

_SOURCE: Final = re.compile("[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Gap:
    """Consecutive numbers of one topic that were published and did not arrive."""

    topic: Topic
    stream: str
    first: int
    last: int

    @property
    def n_missed(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


class Inbox:
    """Messages out of raw parts, and the losses between them.

    A loss is seen by the next number of its topic, or by a heartbeat that says how far the
    daemon has counted. When the daemon begins a new stream (a restart), the numbers begin at 0
    again; what was lost at the end of the old stream cannot be known.

    Attributes
    ----------
    stream
        Of the newest message; None before the first.
    stream_changes
        How often it became another.
    heartbeat
        The newest heartbeat or welcome.
    n_missed
        Numbers lost so far, per topic.
    n_old
        Messages that came again, or too late; they are not delivered.
    n_unreadable, last_unreadable
        Messages that could not be read, and why the last one could not.
    """

    def __init__(self, *, source: str, topics: Iterable[Topic] = TOPICS) -> None:
        if not _SOURCE.fullmatch(source):
            raise ValueError(f"source {source!r}: expected a name like {_SOURCE.pattern}")
        chosen = list(topics)
        if not chosen or set(chosen) - set(TOPICS):
            raise ValueError(f"topics {chosen!r}: expected some of {', '.join(TOPICS)}")
        self._source = source
        self._expected: dict[Topic, int | None] = dict.fromkeys(chosen, None)
        self._gaps: deque[Gap] = deque(maxlen=_GAPS_KEPT)
        self._missed_before = 0
        self.stream: str | None = None
        self.stream_changes = 0
        self.heartbeat: Heartbeat | None = None
        self.n_missed: dict[Topic, int] = dict.fromkeys(chosen, 0)
        self.n_old = 0
        self.n_unreadable = 0
        self.last_unreadable: str | None = None

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The newest 1000 losses, oldest first."""
        return tuple(self._gaps)

    @property
    def prefixes(self) -> list[str]:
        """Topics to subscribe: without heartbeats a loss at the tail would not be seen."""
        return [f"{kind}/{self._source}/" for kind in (*self._expected, "hb", "wl")]

    def accept(self, parts: Sequence[bytes], *, t_received_ns: int) -> Message | None:
        """Take one multipart message; None where there is nothing to deliver.

        Raises
        ------
        UnsupportedVersion
            Nothing of this daemon will ever be read.
        """
        try:
            kind, value = self._split(parts)
            message = to_message(value)
            if isinstance(message, Heartbeat):
                self._announced(message)
                return message
            is_new = self._numbered(kind, value)
        except BadMessage as error:
            self.n_unreadable += 1
            self.last_unreadable = str(error)
            return None
        if not is_new or message is None:
            return None
        if isinstance(message, DefectEvent):
            missed, self._missed_before = self._missed_before, 0
            return dataclasses.replace(message, missed_before=missed, t_received_ns=t_received_ns)
        return message

    def _split(self, parts: Sequence[bytes]) -> tuple[str, dict[str, Any]]:  # Any: unchecked
        welcome = f"wl/{self._source}/".encode()
        if len(parts) == 1 and parts[0].startswith(welcome):
            return "wl", unpack(parts[0][len(welcome) :])
        if len(parts) != 2:
            raise BadMessage(f"message of {len(parts)} parts")
        kind, _, _ = parts[0].partition(b"/")
        return kind.decode("ascii", "replace"), unpack(parts[1])

    def _numbered(self, kind: str, value: dict[str, Any]) -> bool:  # Any: unchecked
        """Count a message of a numbered topic, also one of a type not known here."""
        stream, seq = value.get("stream"), value.get("seq")
        topic = next((topic for topic in self._expected if topic == kind), None)
        if topic is None or not isinstance(stream, str) or type(seq) is not int:
            raise BadMessage(f"message on topic {kind[:16]!r} without stream and seq")
        self._follow(stream)
        expected = self._expected[topic]
        if expected is not None and seq < expected:
            self.n_old += 1
            return False
        self._reach(topic, seq)
        self._expected[topic] = seq + 1
        return True

    def _announced(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat
        self._follow(heartbeat.stream)
        last = {"ev": heartbeat.last_ev_seq, "st": heartbeat.last_st_seq}
        for topic in self._expected:
            self._reach(topic, last[topic] + 1)

    def _follow(self, stream: str) -> None:
        if stream == self.stream:
            return
        if self.stream is not None:
            # Joined while it runs: every number from the first is due. A stream met at the start
            # of this client may be old, and what was before is not a loss.
            self.stream_changes += 1
            self._expected = dict.fromkeys(self._expected, 0)
        self.stream = stream

    def _reach(self, topic: Topic, number: int) -> None:
        """Expect `number` next; what lies between is lost."""
        expected = self._expected[topic]
        if expected is not None and number > expected and self.stream is not None:
            gap = Gap(topic, self.stream, expected, number - 1)
            self._gaps.append(gap)
            self.n_missed[topic] += gap.n_missed
            if topic == "ev":
                self._missed_before += gap.n_missed
        if expected is None or number > expected:
            self._expected[topic] = number


class Patience:
    """How long to wait: for what was asked, and for any sign of life; in monotonic seconds.

    Silence is counted across calls, so that a caller who asks often and briefly learns of it too.

    Parameters
    ----------
    lost_after_s
        Silence after which the daemon is lost.
    endpoint, source
        Named in the error: a daemon of another source is as silent as none.
    now_s
        The silence begins here.
    """

    def __init__(self, *, lost_after_s: float, endpoint: str, source: str, now_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._endpoint = endpoint
        self._source = source
        self._heard_s = now_s
        self._timeout_s = math.inf
        self._ends_s = math.inf

    def begin(self, *, timeout_s: float | None, now_s: float) -> None:
        """Begin a call that waits `timeout_s` at most; None for ever."""
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._ends_s = now_s + self._timeout_s

    def heard(self, now_s: float) -> None:
        """Note a sign of life."""
        self._heard_s = now_s

    def left_ms(self, now_s: float) -> int | None:
        """How long to wait at most for the next message: 0 when time is up, None for ever."""
        left_s = min(self._heard_s + self._lost_after_s, self._ends_s) - now_s
        # Rounded up, so that a wait of the last fraction is not repeated a thousand times.
        return None if left_s == math.inf else max(0, math.ceil(left_s * 1000))

    def check(self, now_s: float) -> None:
        """Raise `DaemonLost` or `ReceiveTimeout`, whichever is due; call when nothing came."""
        lost_s = self._heard_s + self._lost_after_s
        if now_s >= lost_s and lost_s <= self._ends_s:
            silent_s = now_s - self._heard_s
            self._heard_s = now_s  # the next call waits again
            raise DaemonLost(
                f"nothing from {self._endpoint} for {silent_s:.2f} s, heartbeats are due every "
                f"{HEARTBEAT_S} s: is the daemon running, and is its source called "
                f"{self._source!r}?"
            )
        if now_s >= self._ends_s:
            raise ReceiveTimeout(f"nothing to deliver within {self._timeout_s} s")
