"""A verdict with the names of its defects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latticewatch.daemon.exchange import PipelineSettings
from latticewatch.daemon.in_force import MotifsInForce
from latticewatch.daemon.motif_classes import NEW_ID
from latticewatch.daemon.motif_desk import MotifDesk
from latticewatch.daemon.motif_namer import MotifNamer, MotifSight
from latticewatch.daemon.outcome import MotifView
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.report import listed_rows
from latticewatch.daemon.sights import Scene, SiteChange
from latticewatch.daemon.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class NamedVerdict:
    """What is known of a frame, and what the motif classes say.

    Attributes
    ----------
    verdict
        With the names of its defects.
    motifs
        None where nobody asked them.
    n_changes
        Sites that changed, those that are not told among them.
    """

    verdict: Verdict
    motifs: MotifSight | None = None
    n_changes: int = 0

    @property
    def changes(self) -> tuple[SiteChange, ...]:
        """Sites whose class is another than before."""
        return () if self.motifs is None else self.motifs.changes

    @property
    def counts(self) -> dict[str, int]:
        """Points by what was said of them."""
        return {} if self.motifs is None else self.motifs.counts

    @property
    def view(self) -> MotifView | None:
        """Every site, where that was asked for."""
        return None if self.motifs is None else self.motifs.view

    @property
    def us(self) -> int:
        """Time that it took."""
        return 0 if self.motifs is None else sum(self.motifs.sight.stage_us.values())

    def note_after(self, note: str) -> str:
        """Add to a note for people why defects have no name."""
        told = "" if self.motifs is None else self.motifs.sight.note
        return "; ".join(part for part in (note, told) if part)


@dataclass(frozen=True, slots=True)
class Naming:
    """Names the defects of a frame that its event will list.

    Attributes
    ----------
    namer
        None: nothing is named.
    n_most
        Most defects of an event, others are not looked at; and most changes of sites.
    """

    namer: MotifNamer | None = None
    n_most: int = 256

    def of(
        self, scene: Scene | None, chain: int, verdict: Verdict, *, shows: bool = False
    ) -> NamedVerdict:
        """Name the defects of a verdict.

        Parameters
        ----------
        scene
            None for a frame that nobody looked at.
        chain
            Number of the chain of frames.
        shows
            Make a view of every site.
        """
        if self.namer is None or scene is None:
            return NamedVerdict(verdict)
        rows = listed_rows(verdict.findings, self.n_most)
        listed = tuple(verdict.findings[row] for row in rows)
        motifs = self.namer.look(scene, chain, listed, shows=shows)
        findings = list(verdict.findings)
        for row, named in zip(rows, motifs.findings, strict=True):
            findings[row] = named
        sights = (*verdict.sights, motifs.sight)
        told = replace(motifs, changes=surest(motifs.changes, self.n_most))
        verdict = replace(verdict, findings=tuple(findings), sights=sights)
        return NamedVerdict(verdict, told, len(motifs.changes))

    def warm_up(self) -> None:
        """Run what rehearsed frames do not, and begin anew."""
        if self.namer is not None:
            self.namer.warm_up()


def surest(changes: Sequence[SiteChange], n_most: int) -> tuple[SiteChange, ...]:
    """So many changes, those to a class that is surest, in their order."""

    def doubt(row: int) -> tuple[float, int]:
        one = changes[row]
        # The p of what is new is that of the nearest class.
        return (one.p if one.after[0] == NEW_ID else 1.0 - one.p), row

    kept = sorted(sorted(range(len(changes)), key=doubt)[:n_most])
    return tuple(changes[row] for row in kept)


def namings(
    motifs: MotifsInForce | None, settings: PipelineSettings, clock: Clock
) -> tuple[Naming, Naming, MotifDesk | None]:
    """Make what names the defects of first events, and of late ones, and where both hand in.

    Sites are followed through first events alone: of a late one not every frame has any.
    """
    if motifs is None:
        return Naming(), Naming(), None
    desk = None if motifs.propose_after is None else MotifDesk()
    first, late = (
        Naming(motifs.namer(clock, desk, follows=follows), settings.max_defects)
        for follows in (motifs.follow, False)
    )
    return first, late, desk
