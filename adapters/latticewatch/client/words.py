"""Words of open sets that this version knows; others read as ``unknown``."""

from typing import Annotated

from latticewatch.client.reading import Words

_KINDS = "vacancy deficit excess extra displaced boundary amorphous unknown"
_QUALITIES = (
    "nonfinite saturated constant low_dose not_periodic model_stale model_missing clock_skew "
    "line_glitch truncated_rows replay"
)
_FLAGS = "merged row_glitch tail_p human dopant unlocked"
_CODES = (
    "started ready not_ready stopping source_up source_down source_stalled session_started "
    "session_ended two_senders overload overload_over model_loaded model_swapped model_refused "
    "model_stale refit_started refit_done refit_failed journal_degraded journal_restored "
    "stream_changed armed disarmed lease_expired steer_executed steer_refused auth_failures "
    "motif_proposed"
)
_STAGES = "first late"
_ROLES = "pristine defect neighbour proposed new"

Kind = Annotated[str, Words(frozenset(_KINDS.split()))]
Quality = Annotated[str, Words(frozenset(_QUALITIES.split()))]
Flag = Annotated[str, Words(frozenset(_FLAGS.split()))]
Role = Annotated[str, Words(frozenset(_ROLES.split()))]
Stage = Annotated[str, Words(frozenset(_STAGES.split()))]
StatusCode = Annotated[str, Words(frozenset(_CODES.split()))]
