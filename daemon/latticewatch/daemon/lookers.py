"""Who looks at frames, how they are asked, and what each of them may spend."""

from collections.abc import Sequence

from latticewatch.daemon.exchange import PipelineSettings
from latticewatch.daemon.look_cell import CellLooker
from latticewatch.daemon.look_domains import DomainLooker
from latticewatch.daemon.look_patterson import PattersonLooker
from latticewatch.daemon.models import ModelSet
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import ARITHMETIC, Budget, Looker, Scene, Sight

# Of the false alarms that are allowed, what the first detector that answers may spend, where
# others look, too. Fixed before anybody looks, so that the sum is what was allowed. The reference
# cell finds nearly all that the others do: at a half of it, it lost one defect in twenty at the
# lowest doses.
_SHARE_OF_THE_FIRST = 0.9


class Shares:
    """What each detector of points may spend: nine tenths the first that answers, the others alike.

    Late ones are counted among the others, whether they are waited for or not, so that what is
    listed does not depend on when it is said.

    Parameters
    ----------
    allowed
        All that the settings allow.
    n_of_points
        Detectors that look for points, the late ones among them.
    """

    def __init__(self, allowed: Budget, n_of_points: int) -> None:
        first = _SHARE_OF_THE_FIRST if n_of_points > 1 else 1.0
        self._first = allowed.share(first)
        self._other = allowed.share((1.0 - _SHARE_OF_THE_FIRST) / max(1, n_of_points - 1))

    def of_next(self, *, answered: bool) -> Budget:
        """Share of the next detector, if one before it has judged places or not."""
        return self._other if answered else self._first


def first_lookers(
    models: ModelSet, settings: PipelineSettings, clock: Clock
) -> tuple[list[Looker], PattersonLooker | None]:
    """Build the detectors of the first event in the order in which they are asked.

    Returns
    -------
    list of Looker, PattersonLooker or None
        All of them, and the one whose model says what frames to rehearse with.
    """
    lookers: list[Looker] = []
    patterson = None
    dopants = settings.dopants_are_defects
    if models.reference_cell:
        lookers.append(CellLooker(clock, dopants_are_defects=dopants))
    if models.patterson is not None:
        patterson = PattersonLooker(models.patterson, clock, dopants_are_defects=dopants)
        lookers.append(patterson)
    if models.domains != "never":
        lookers.append(DomainLooker(clock, always=models.domains == "always"))
    return lookers, patterson


def slow_lookers(models: ModelSet, clock: Clock) -> list[Looker]:
    """Build the detectors that take longer, in the order in which they are asked."""
    slow = (models.vae, models.symmetry)
    return [one.looker(clock) for one in slow if one is not None]


def ask_all(
    lookers: Sequence[Looker], scene: Scene, shares: Shares, *, answered: bool = False
) -> list[Sight]:
    """Ask each detector in turn; those after the first that answers share what it left.

    Parameters
    ----------
    answered
        Whether somebody asked before has judged places. One of lines and patches has not: it
        spends nothing.
    """
    sights = []
    for looker in lookers:
        sight = _ask(looker, scene, shares.of_next(answered=answered))
        answered = answered or (sight.n_scored > 0 and not sight.is_extended)
        sights.append(sight)
    return sights


def _ask(looker: Looker, scene: Scene, budget: Budget) -> Sight:
    """Let a detector look; one whose arithmetic fails says so, and the others go on."""
    try:
        return looker.look(scene, budget)
    except ARITHMETIC as error:
        return Sight(looker.name, "none", "0" * 64, "error", note=f"{looker.name}: {error}")
