"""Whether a model still fits what the microscope shows, and what is said where it does not."""

from dataclasses import replace

from latticewatch.daemon.sights import Scene, Sight
from latticewatch.daemon.site_looks import is_anew
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.polarity import contrast_of_channel
from latticewatch.detectors.staleness import STALE_FRAMES, Staleness
from latticewatch.detectors.view import LEAST_LINKED, View
from latticewatch.wire.words import DetectorCondition


class ModelTrust:
    """Follows one model over the frames of a session.

    The fault is of a frame, the condition of the model: one odd frame does not make it stale.

    Parameters
    ----------
    name, artifact, sha256
        Of the detector and its model.
    """

    def __init__(self, name: str, artifact: str, sha256: str) -> None:
        self._name = name
        self._seen = Sight(name, artifact, sha256)
        self.forget()
        self._session = ""

    def forget(self) -> None:
        """Begin anew: nothing is known of the model."""
        self._staleness = Staleness()

    @property
    def condition(self) -> DetectorCondition:
        """Of the model, as the frames so far tell it."""
        return "stale" if self._staleness.is_stale else "ok"

    def begin(self, scene: Scene) -> None:
        """Take up a frame; one of another session begins anew."""
        if scene.session != self._session:
            self._session = scene.session
            self.forget()

    def enter(self, scene: Scene, contrast: int) -> Sight | None:
        """Take up a frame; a Sight where its channel alone says that the model is another one's.

        Parameters
        ----------
        scene
            The frame; one of another session begins anew.
        contrast
            +1: the model knows bright columns, -1: dark ones.
        """
        self.begin(scene)
        said = None if scene.channel is None else contrast_of_channel(scene.channel)
        if said is None or said == contrast:
            return None
        self._staleness.note(against=True)
        shown, known = (("bright" if one > 0 else "dark") for one in (said, -said))
        note = (
            f"{self._name}: columns of channel {scene.channel} are {shown}, "
            f"the model knows {known} ones"
        )
        return replace(self._seen, condition="stale", faults=("model_stale",), note=note)

    def without_sites(self, scene: Scene, view: View, watch: Stopwatch) -> Sight:
        """Say that a frame does not show the model's sites."""
        # A crystal that the model does not fit is no fault of the crystal.
        if scene.lattice is None:
            faults = ("not_periodic",)
            return replace(self._seen, condition=self.condition, faults=faults, stage_us=watch.us)
        told = "another lattice, or not enough of it: "
        told += f"{view.linked:.0%} of the model's sites in place (limit {LEAST_LINKED:.0%})"
        return self.against(scene, self._seen, told, watch)

    def against(self, scene: Scene, seen: Sight, told: str, watch: Stopwatch) -> Sight:
        """Say that a frame is not judged by a model that it speaks against.

        Parameters
        ----------
        scene
            The frame.
        seen
            What is known of it.
        told
            What speaks against the model, with values and limits.
        watch
            Of this look.
        """
        stale = self._staleness.note(against=True, anew=is_anew(scene))
        return replace(
            seen,
            condition="stale" if stale else "ok",
            faults=("model_stale",),
            stage_us=watch.us,
            note=f"{self._name}: the model does not fit: {told}",
        )

    def on_trial(self, scene: Scene, seen: Sight, watch: Stopwatch) -> Sight | None:
        """Note that a frame fits; a Sight where that is not enough yet to trust the model again."""
        if not self._staleness.note(against=False, anew=is_anew(scene)):
            return None
        note = f"{self._name}: the model fits this frame, but not yet {STALE_FRAMES} running"
        return replace(
            seen, condition="stale", faults=("model_stale",), note=note, stage_us=watch.us
        )
