"""A frame becomes an event: no socket, no thread, and no state from frame to frame.

The daemon, `analyze` and the demo all go through here, so the same frame gives the same event,
times apart.
"""

from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.exchange import Incoming as Incoming
from latticewatch.daemon.exchange import Outcome as Outcome
from latticewatch.daemon.exchange import PipelineSettings as PipelineSettings
from latticewatch.daemon.exchange import Verdict
from latticewatch.daemon.models import ModelSet, digest_of
from latticewatch.daemon.pixel_check import CheckedPixels, PixelCheck, near_bad_pixel
from latticewatch.daemon.point_findings import cell_findings, merge_findings
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.report import Reporter
from latticewatch.detectors.calibration import adjusted_q
from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.patterson.locate import locate
from latticewatch.detectors.patterson.windows import margin_px
from latticewatch.detectors.protocols import Scores
from latticewatch.detectors.reference_cell.score import CellResult, ReferenceCellDetector
from latticewatch.detectors.sites import SiteFinder, View
from latticewatch.wire.frames import FrameHeader

# Said of a frame by scheme one alone.
_ONE_DETECTOR_ONLY = ("model_stale", "not_periodic")
# Naming the fault of a frame without linked sites needs a spectrum; this much of it is enough.
_DIAGNOSIS_PX = 512


def _halved(settings: PipelineSettings) -> PipelineSettings:
    """Give each of two detectors half of the false alarms that are allowed."""
    fdr, per_frame = settings.fdr, settings.false_alarms_per_frame
    return replace(
        settings,
        fdr=None if fdr is None else fdr / 2,
        false_alarms_per_frame=None if per_frame is None else per_frame / 2,
    )


class Pipeline:
    """One frame at a time, in buffers that it keeps; belongs to one thread."""

    def __init__(self, *, models: ModelSet, settings: PipelineSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._detector = models.patterson
        self._finder = SiteFinder(models.patterson.model.rule)
        self._cell = ReferenceCellDetector() if models.reference_cell else None
        self._pixels = PixelCheck()
        self._margin_px = margin_px(
            models.patterson.model.patch_size_px, models.patterson.model.rule.smooth_sigma_px
        )
        model_set = digest_of(
            [models.sha256, settings.fdr, settings.false_alarms_per_frame, settings.max_defects]
        )
        self.model_set = model_set
        self._cut_settings = settings if self._cell is None else _halved(settings)
        self._reporter = Reporter(
            models=models, settings=settings, model_set=model_set, margin_px=self._margin_px
        )

    def warm_up(self, shape_yx: tuple[int, int], dtype: str) -> None:
        """Run every branch once on arrays of production: this shape and type, read-only or not.

        Compiles what is not in numba's cache. One frame is a lattice of the model's own period,
        so that sites are found, scored and located; one is blank; one has dead pixels.
        """
        header = FrameHeader(
            source=self._settings.source,
            session="0" * 32,
            seq=0,
            shape_yx=shape_yx,
            dtype=dtype,
            t_complete_ns=1,
            t_source="software",
            dropped=0,
        )
        crystal = self._rehearsal(shape_yx)
        for frame in (crystal, np.zeros(shape_yx)):
            pixels = frame.astype(dtype)
            for writable in (True, False):
                pixels.flags.writeable = writable
                self.process(Incoming(header, pixels, t_recv_ns=1))
        dead = crystal.astype(np.float32)
        dead[::16, ::16] = np.nan
        self._pixels.check(dead, None)
        view = self._finder.prepare(crystal.astype(np.float32))
        if view.is_periodic:
            scores = self._detector.score(view)
            locate(view, self._detector.model, np.flatnonzero(scores.scored)[:3], scores)

    def process(self, incoming: Incoming) -> Outcome:
        """Turn a frame into its event; never raises for what the pixels hold."""
        start_ns = self._clock.monotonic_ns()
        checked = self._pixels.check(incoming.pixels, incoming.header.full_scale)
        stages = {"validate": self._since(start_ns)}
        quality, view, scores = checked.quality, None, None
        if checked.usable:
            fault, view, scores = self._look(checked, stages)
            quality += fault
        cell = self._look_at_cell(checked, stages) if checked.usable else None
        fuse_ns = self._clock.monotonic_ns()
        detector_us = stages.get("features", 0) + stages.get("score", 0)
        verdict = self._cut(quality, view, scores)
        if cell is not None:
            verdict = self._with_cell(verdict, cell)
        cell_us = stages.get("reference_cell")
        event = self._reporter.report(incoming, verdict, detector_us=detector_us, cell_us=cell_us)
        stages["fuse"] = self._since(fuse_ns)
        stages["total"] = self._since(start_ns)
        latency_us = {
            "queue": incoming.queue_us,
            "validate": incoming.validate_us + stages["validate"],
            "lattice": stages.get("segment", 0),
            "patterson": detector_us,
            **({} if cell_us is None else {"reference_cell": cell_us}),
            "fuse": stages["fuse"],
            "total": incoming.queue_us + incoming.validate_us + stages["total"],
        }
        return Outcome(
            msgspec.structs.replace(event, latency_us=latency_us), stages, event.n_defects
        )

    def _look(
        self, checked: CheckedPixels, stages: dict[str, int]
    ) -> tuple[tuple[str, ...], View | None, Scores | None]:
        """Find sites and score them; fills in the times of these stages.

        Returns
        -------
        tuple of str, View or None, Scores or None
            What is wrong with the frame, its sites, and their scores: None if they mean nothing.
        """
        start_ns = self._clock.monotonic_ns()
        view = self._finder.prepare(checked.image)
        if not view.is_periodic:
            fault = self._diagnosis(checked.image)
            stages["segment"] = self._since(start_ns)
            return (fault,), None, None
        stages["segment"] = self._since(start_ns)
        start_ns = self._clock.monotonic_ns()
        features, inside = self._detector.features(view)
        shape = (checked.image.shape[0], checked.image.shape[1])
        inside &= ~near_bad_pixel(view.places_yx, checked.bad_yx, shape, self._margin_px)
        stages["features"] = self._since(start_ns)
        start_ns = self._clock.monotonic_ns()
        scores = self._detector.judge(view, features, inside)
        stages["score"] = self._since(start_ns)
        if scores.stale:
            return ("model_stale",), view, None
        # A frame of which no site can be judged is not one where nothing was found.
        return (), view, scores if scores.scored.any() else None

    def _look_at_cell(self, checked: CheckedPixels, stages: dict[str, int]) -> CellResult | None:
        """Compare the frame with its own mean cell, if asked to; fills in the time."""
        if self._cell is None:
            return None
        start_ns = self._clock.monotonic_ns()
        lattice = find_lattice(checked.image)
        result = None if lattice is None else self._cell.look(checked.image, lattice)
        stages["reference_cell"] = self._since(start_ns)
        return result

    def _with_cell(self, verdict: Verdict, cell: CellResult) -> Verdict:
        """Add what the reference cell found; where it answers, the frame is answered."""
        findings, q_value = merge_findings(
            cell_findings(cell, self._cut_settings),
            (verdict.findings, verdict.q_value),
            cell.lock.period_px,
        )
        # What keeps scheme one from an answer is said in the state of that detector.
        quality = tuple(word for word in verdict.quality if word not in _ONE_DETECTOR_ONLY)
        return replace(
            verdict,
            quality=quality,
            stale="model_stale" in verdict.quality,
            n_sites=cell.n_sites,
            n_scored=cell.n_sites,
            findings=findings,
            q_value=q_value,
        )

    def _cut(self, quality: tuple[str, ...], view: View | None, scores: Scores | None) -> Verdict:
        """Decide which places are defects, and where each of them is."""
        if view is None or scores is None:
            n_sites = 0 if view is None else len(view.places_yx)
            return Verdict(quality=quality, view=view, n_sites=n_sites)
        scored = np.flatnonzero(scores.scored)
        fdr, n_scored = self._cut_settings.fdr, len(scored)
        if fdr is not None:
            passed = scored[adjusted_q(scores.p_value[scored]) <= fdr]
        else:
            limit = self._cut_settings.false_alarms_per_frame or 0.0
            passed = scored[scores.p_value[scored] * n_scored <= limit]
        findings = locate(view, self._detector.model, passed, scores)
        # One defect disturbs several sites. Counted by site, it would vouch for as many false
        # ones, so the rate is controlled once more over what is left after merging.
        q_merged = adjusted_q(np.array([finding.p_value for finding in findings]), n_scored)
        kept = [k for k in range(len(findings)) if fdr is None or q_merged[k] <= fdr]
        return Verdict(
            quality=quality,
            view=view,
            n_sites=len(view.places_yx),
            n_scored=n_scored,
            findings=tuple(findings[k] for k in kept),
            q_value=q_merged[kept],
        )

    def _diagnosis(self, image: NDArray[np.float32]) -> str:
        """Tell a crystal that the model does not fit from no crystal at all."""
        height, width = image.shape
        top, left = max(0, (height - _DIAGNOSIS_PX) // 2), max(0, (width - _DIAGNOSIS_PX) // 2)
        part = image[top : top + _DIAGNOSIS_PX, left : left + _DIAGNOSIS_PX]
        return "not_periodic" if find_lattice(part) is None else "model_stale"

    def _rehearsal(self, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
        """Plane waves of the model's lattice, with some structure in each cell."""
        reciprocal = np.linalg.inv(self._finder.rule.basis_px_yx)
        y, x = np.indices(shape_yx)
        phases = [2 * np.pi * (reciprocal[0, k] * y + reciprocal[1, k] * x) for k in (0, 1)]
        waves: NDArray[np.float64] = (
            np.cos(phases[0]) + np.cos(phases[1]) + np.cos(phases[0] + phases[1])
        )
        frame: NDArray[np.float64] = 40.0 + 10.0 * self._finder.rule.polarity * waves
        return frame

    def _since(self, start_ns: int) -> int:
        return (self._clock.monotonic_ns() - start_ns) // 1000
