"""Why a message was refused: one exception, and the closed sets its reasons come from.

The words are metric labels too, so they are few, fixed and never built from what a peer sent.
"""

from typing import Final, Literal, get_args

Reason = Literal[
    "parts",
    "header_size",
    "header",
    "version",
    "source",
    "old_session",
    "shape",
    "dtype",
    "codec",
    "length",
    "crc",
    "geometry",
    "stale",
]
"""Why bytes were refused, in the order of the checks that find it."""

UnreadableReason = Literal["parts", "header_size", "header", "version", "source"]
"""Reasons found before the frame's number is known: such a message surfaces as missing."""

DropReason = Literal[
    "queue", "stale", "shape", "dtype", "codec", "length", "crc", "geometry", "incomplete"
]
"""Fates of a frame whose number is known and which was not processed."""

MissingCause = Literal["sender", "before_join", "transport"]
"""Who lost a number that never came."""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
UNREADABLE_REASONS: Final[tuple[UnreadableReason, ...]] = get_args(UnreadableReason)
DROP_REASONS: Final[tuple[DropReason, ...]] = get_args(DropReason)
MISSING_CAUSES: Final[tuple[MissingCause, ...]] = get_args(MissingCause)


class ProtocolError(ValueError):
    """The peer sent something that the protocol does not allow.

    Parameters
    ----------
    reason
        Which check failed: a word of `REASONS`.
    text
        What was refused, what was expected, what came, what to do; one line.
    """

    reason: Reason

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason
