"""Which detectors there are, and how a command line names those that look."""

from collections.abc import Sequence
from typing import Final

from latticewatch.daemon.config import Settings

DETECTORS: Final = ("reference_cell", "patterson", "domains", "vae", "symmetry", "motifs")
"""Every detector, as settings, events and metrics call it; motifs finds nothing itself."""
POINTS: Final = frozenset({"reference_cell", "patterson", "vae"})
"""Those that look for points."""


def with_detectors(settings: Settings, names: Sequence[str]) -> Settings:
    """Let these detectors look, and no other."""
    chosen = {
        name: getattr(settings.detectors, name).model_copy(update={"enabled": name in names})
        for name in DETECTORS
    }
    return settings.model_copy(update={"detectors": settings.detectors.model_copy(update=chosen)})


def chosen_detectors(text: str) -> list[str]:
    """Names with commas between, of who looks.

    Raises
    ------
    ValueError
        A name is unknown, or nobody would look for points.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or not set(names) <= set(DETECTORS):
        known = ", ".join(DETECTORS)
        raise ValueError(f"{text!r}: expected one or more of {known}, commas between")
    if names == ["domains"]:
        raise ValueError("domains draws lines beside points: add reference_cell or patterson")
    if "motifs" in names and not POINTS & set(names):
        raise ValueError(
            "motifs names what others find: add reference_cell, patterson or vae, which look for "
            "points"
        )
    return names
