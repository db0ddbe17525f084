"""The words of this version, for whoever writes messages.

Kinds, qualities, flags, stages and status codes are open sets: a reader meets newer words and must
not fail. The other sets are closed.
"""

from typing import Literal

Kind = Literal[
    "vacancy", "deficit", "excess", "extra", "displaced", "boundary", "amorphous", "unknown"
]
Quality = Literal[
    "nonfinite",
    "saturated",
    "constant",
    "low_dose",
    "not_periodic",
    "model_stale",
    "model_missing",
    "clock_skew",
    "line_glitch",
    "truncated_rows",
    "replay",
]
Flag = Literal["merged", "row_glitch", "tail_p", "human", "dopant", "unlocked"]
EventStage = Literal["first", "late"]
StatusCode = Literal[
    "started",
    "ready",
    "not_ready",
    "stopping",
    "source_up",
    "source_down",
    "source_stalled",
    "session_started",
    "session_ended",
    "two_senders",
    "overload",
    "overload_over",
    "model_loaded",
    "model_swapped",
    "model_refused",
    "model_stale",
    "refit_started",
    "refit_done",
    "refit_failed",
    "journal_degraded",
    "journal_restored",
    "stream_changed",
    "armed",
    "disarmed",
    "lease_expired",
    "steer_executed",
    "steer_refused",
    "auth_failures",
    "motif_proposed",
]
Outcome = Literal["scored", "not_scored"]
Level = Literal["info", "warning", "error"]
DetectorCondition = Literal["ok", "stale", "refitting", "error"]
CutRule = Literal["fdr", "per_frame"]
TrackState = Literal["tentative", "confirmed", "ended"]
Trend = Literal["appearing", "stable", "healing", "moving"]
TrackEndReason = Literal["lost", "healed", "out_of_view", "reset"]
