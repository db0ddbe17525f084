"""The autoencoder in the pipeline: sites, scores, cut, places, and a picture of what is left."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.look_windows import WindowLooker
from latticewatch.daemon.model_trust import ModelTrust
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, Looker, Picture, Scene, Sight
from latticewatch.daemon.site_looks import cut, lattice_of, may_be_judged
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.vae import linear_model
from latticewatch.detectors.vae.linear_model import LinearDetector, LinearModel
from latticewatch.detectors.vae.locate import locate
from latticewatch.detectors.vae.model import DETECTOR, MODE, VaeModel
from latticewatch.detectors.vae.score import VaeDetector
from latticewatch.detectors.vae.window_model import WINDOW_MODES, WindowModel
from latticewatch.detectors.vae.windows import matching_lock
from latticewatch.detectors.view import View
from latticewatch.detectors.windows import margin_px

AnyModel = VaeModel | LinearModel | WindowModel
_READERS: dict[str, type[VaeModel | LinearModel | WindowModel]] = {
    MODE: VaeModel,
    linear_model.MODE: LinearModel,
    **dict.fromkeys(WINDOW_MODES, WindowModel),
}


def read_vae(artifact: Artifact, where: str) -> AnyModel:
    """Build the model of a file, whatever its mode; raises ModelError, which names the file."""
    mode = artifact.header.get("mode")
    reader = _READERS.get(mode) if isinstance(mode, str) else None
    if artifact.detector == DETECTOR and reader is None:
        raise ModelError(f"{where}: mode = {mode!r:.40}, expected one of {', '.join(_READERS)}")
    return (reader or VaeModel).from_artifact(artifact, where)


@dataclass(frozen=True, slots=True)
class LoadedVae:
    """A model of the autoencoder; its network, if it has one, has given its own answer.

    Attributes
    ----------
    model
        As read.
    artifact
        How the settings named it.
    sha256
        Of the file.
    """

    model: AnyModel
    artifact: str
    sha256: str

    def looker(self, clock: Clock) -> Looker:
        """Make a detector of it, with buffers of its own."""
        named = (DETECTOR, self.artifact, self.sha256)
        if isinstance(self.model, WindowModel):
            return WindowLooker(self.model, named, clock)
        return SiteLooker(site_detector(self.model, self.artifact), named, clock)


def site_detector(model: VaeModel | LinearModel, where: str) -> VaeDetector | LinearDetector:
    """Make what scores sites; raises ModelError if the network is none of ours."""
    if isinstance(model, LinearModel):
        return LinearDetector(model)
    detector = VaeDetector(model, where)
    detector.check_probe(where)
    return detector


class SiteLooker:
    """Asks what is not redrawn of the cell of each site.

    Parameters
    ----------
    detector
        Of the model.
    named
        Detector, artifact, SHA-256.
    clock
        Times the stages.
    """

    name = DETECTOR
    needs_lattice = True

    def __init__(
        self,
        detector: VaeDetector | LinearDetector,
        named: tuple[str, str, str],
        clock: Clock,
    ) -> None:
        self._detector, self._named, self._clock = detector, named, clock
        self._trust = ModelTrust(*named)
        rule = detector.model.rule
        self._finder = SiteFinder(rule)
        self.margin_px = margin_px(detector.span_px, rule.smooth_sigma_px)

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Judge every site of a frame, and list what is within the budget."""
        watch = Stopwatch(self._clock)
        other = self._trust.enter(scene, self._detector.model.rule.contrast)
        if other is not None:
            return other
        view = self._prepare(scene)
        if not view.is_periodic:
            watch.lap(DETECTOR)
            return self._trust.without_sites(scene, view, watch)
        n_before = self._detector.n_not_finite
        inside = self._detector.redraw(view)
        inside &= may_be_judged(scene, view.places_yx, self.margin_px)
        scores = self._detector.judge(view, inside)
        # 5 ms for 1024 x 1024.
        picture = self._detector.residual_picture(view) if scene.pictures else None
        seen = Sight(
            *self._named,
            n_sites=len(view.places_yx),
            lattice=lattice_of(view),
            n_refused=self._detector.n_not_finite - n_before,
            picture=None if picture is None else Picture(DETECTOR, picture),
        )
        n_scored = int(np.count_nonzero(scores.scored))
        unlisted = self._unlisted(scene, seen, is_stale=scores.stale, n_scored=n_scored)
        if unlisted is not None:
            watch.lap(DETECTOR)
            return replace(unlisted, stage_us=watch.us)
        findings, q_value = cut(
            scores, budget, lambda sites: locate(view, self._detector, sites, scores)
        )
        watch.lap(DETECTOR)
        return replace(
            seen, n_scored=n_scored, findings=findings, q_value=q_value, stage_us=watch.us
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Place a few sites as if they were defects, and forget what the frames so far said."""
        self._trust.forget()
        view = self._finder.prepare(image)
        if view.is_periodic:
            scores = self._detector.score(view)
            locate(view, self._detector, np.flatnonzero(scores.scored)[:3], scores)

    def _prepare(self, scene: Scene) -> View:
        lock = None if scene.lattice is None else scene.lattice.lock
        return self._finder.prepare(scene.image, matching_lock(self._detector.model.rule, lock))

    def _unlisted(
        self, scene: Scene, seen: Sight, *, is_stale: bool, n_scored: int
    ) -> Sight | None:
        """Say why nothing can be listed, where nothing can."""
        watch = Stopwatch(self._clock)
        if is_stale:
            freshness = self._detector.freshness
            told = ", ".join(freshness.told) if freshness is not None else "its sites"
            return self._trust.against(scene, seen, told, watch)
        if not n_scored and seen.n_refused:
            note = f"{DETECTOR}: the network gave {seen.n_refused} answers that are no numbers"
            return replace(seen, condition="error", faults=("model_stale",), note=note)
        if not n_scored:  # nothing speaks for the model, nor against it
            return replace(seen, condition=self._trust.condition)
        return self._trust.on_trial(scene, seen, watch)
