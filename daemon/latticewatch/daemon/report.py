"""A verdict on a frame in the words of the protocol."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from latticewatch.daemon.exchange import PipelineSettings
from latticewatch.daemon.material import Scaled
from latticewatch.daemon.sights import Sight, SiteChange
from latticewatch.daemon.verdicts import Verdict
from latticewatch.detectors.calibration import score_of_p
from latticewatch.detectors.protocols import Finding
from latticewatch.wire.codec import copy_attrs
from latticewatch.wire.events import (
    Cut,
    Defect,
    DefectEvent,
    DetectorState,
    Drift,
    FrameRef,
    LatticeState,
)
from latticewatch.wire.frames import FrameHeader
from latticewatch.wire.geometry import Geometry
from latticewatch.wire.motifs import Motif, MotifChange


class Reporter:
    """Writes events; holds what is the same in all of them. Any thread may use it.

    Parameters
    ----------
    settings
        What is listed, and how.
    model_set
        Digest of everything that decides.
    margin_px
        Defects nearer to the edge of the frame are marked as such.
    """

    def __init__(self, settings: PipelineSettings, model_set: str, margin_px: int) -> None:
        self._settings = settings
        self._model_set = model_set
        self._margin_px = margin_px
        if settings.fdr is not None:
            self._cut = Cut(rule="fdr", value=settings.fdr)
        else:
            self._cut = Cut(rule="per_frame", value=settings.false_alarms_per_frame or 0.0)

    def report(
        self,
        t_recv_ns: int,
        verdict: Verdict,
        drift: Drift | None,
        scaled: Scaled,
        changes: Sequence[SiteChange] = (),
    ) -> DefectEvent:
        """Build the event of a frame, envelope and latencies still empty.

        Fields of view, and whether there are nanometres, are those of the scaled header.
        """
        header, settings = scaled.header, self._settings
        geometry = Geometry.from_header(header)
        n_found = len(verdict.findings)
        verdict = _at_most(verdict, settings.max_defects)
        kept = verdict.findings
        quality = verdict.quality + (("replay",) if header.t_source == "replay" else ())
        return DefectEvent(
            source=header.source,
            stream="",
            seq=-1,
            journaled=False,
            t_pub_ns=0,
            valid_for_ms=settings.valid_for_ms,
            frame=FrameRef.from_header(header),
            t_recv_ns=t_recv_ns,
            latency_us={},
            context=header.full_context,
            roi=header.full_roi,
            calibrated=header.calibrated,
            outcome="scored" if verdict.n_scored else "not_scored",
            quality=quality,
            model_set=self._model_set,
            detectors=tuple(_state(sight) for sight in verdict.sights),
            cut=self._cut,
            n_sites=verdict.n_sites,
            n_scored=verdict.n_scored,
            lattice=_lattice(verdict, geometry),
            drift=drift,
            defects=self._defects(kept, verdict, geometry, header),
            n_defects=n_found,
            truncated=len(kept) < n_found,
            dropped_since_last=0,
            missing_since_last=0,
            attrs=copy_attrs(header) if settings.copy_attrs else None,
            pixel_size=scaled.pixel_size or UNSET,
            motif_changes=_changes(changes, geometry),
        )

    def _defects(
        self,
        findings: Sequence[Finding],
        verdict: Verdict,
        geometry: Geometry,
        header: FrameHeader,
    ) -> tuple[Defect, ...]:
        if not findings:
            return ()
        pixel_yx = np.array([finding.pixel_yx for finding in findings])
        frac_yx = geometry.to_fraction(pixel_yx)
        nm_yx = geometry.to_nm(pixel_yx) if geometry.calibrated else None
        last = np.array(header.shape_yx) - 1 - self._margin_px
        outside = (pixel_yx < self._margin_px) | (pixel_yx > last)
        edge = [bool(row.any()) for row in outside]
        return tuple(
            Defect(
                i=i,
                kind=finding.kind,
                label=finding.label,
                score=score_of_p(finding.p_value),
                p_value=finding.p_value,
                q_value=max(float(verdict.q_value[i]), 1e-300),
                scores=finding.parts,
                pixel_yx=finding.pixel_yx,
                frac_yx=_pair(frac_yx[i]),
                nm_yx=None if nm_yx is None else _pair(nm_yx[i]),
                cov_px=finding.cov_px,
                site=finding.address,
                extent_px=finding.extent_px,
                intensity_ratio=finding.intensity_ratio,
                displacement_px_yx=finding.displacement_px_yx,
                displacement_pm=_length_pm(finding, geometry),
                edge=edge[i],
                outline_px_yx=UNSET if finding.outline_px_yx is None else finding.outline_px_yx,
                flags=(*finding.flags, *(("tail_p",) if finding.tail else ())),
                motif=_motif(finding),
            )
            for i, finding in enumerate(findings)
        )


def listed_rows(findings: Sequence[Finding], n_most: int) -> list[int]:
    """Rows of so many findings, the strongest; dopants, of which there are many, give way first."""
    order = sorted(range(len(findings)), key=lambda k: ("dopant" in findings[k].flags, k))
    return sorted(order[:n_most])


def _at_most(verdict: Verdict, n_most: int) -> Verdict:
    """Keep so many findings."""
    if len(verdict.findings) <= n_most:
        return verdict
    kept = listed_rows(verdict.findings, n_most)
    return replace(
        verdict,
        findings=tuple(verdict.findings[k] for k in kept),
        q_value=verdict.q_value[kept],
    )


def _motif(finding: Finding) -> Motif | UnsetType:
    """Class of a finding, not written where nobody named it."""
    named = finding.motif
    if named is None:
        return UNSET
    return Motif(id=named.class_id, p=named.p, distance=named.distance, role=named.role)


def _changes(
    changes: Sequence[SiteChange], geometry: Geometry
) -> tuple[MotifChange, ...] | UnsetType:
    """Sites that changed, not written where none did."""
    if not changes:
        return UNSET
    frac_yx = geometry.to_fraction(np.array([one.pixel_yx for one in changes]))
    return tuple(
        MotifChange(
            site=one.address,
            pixel_yx=one.pixel_yx,
            frac_yx=_pair(frac_yx[k]),
            before=one.before[0],
            after=one.after[0],
            before_label=one.before[1],
            after_label=one.after[1],
            p=one.p,
        )
        for k, one in enumerate(changes)
    )


def _state(sight: Sight) -> DetectorState:
    """One detector's part in an event."""
    return DetectorState(
        name=sight.name,
        artifact=sight.artifact,
        sha256=sight.sha256,
        state=sight.condition,
        us=sum(sight.stage_us.values()),
    )


def _lattice(verdict: Verdict, geometry: Geometry) -> LatticeState | None:
    seen = verdict.lattice
    if seen is None:
        return None
    period_nm = None
    if geometry.calibrated:
        steps = geometry.to_nm(seen.origin_px_yx + seen.basis_px_yx)
        steps = steps - geometry.to_nm(seen.origin_px_yx)
        period_nm = float(np.sqrt(np.prod(np.linalg.norm(steps, axis=1))))
    return LatticeState(
        a_px_yx=_pair(seen.basis_px_yx[0]),
        b_px_yx=_pair(seen.basis_px_yx[1]),
        origin_px_yx=_pair(seen.origin_px_yx),
        rms_px=seen.rms_px,
        period_nm=period_nm,
        domains=verdict.n_domains,
    )


def _length_pm(finding: Finding, geometry: Geometry) -> float | None:
    """Length of a displacement in picometres, None unless both are known."""
    if finding.displacement_px_yx is None or not geometry.calibrated:
        return None
    there = np.array([finding.pixel_yx])
    home = there - np.array([finding.displacement_px_yx])
    return float(1000.0 * np.linalg.norm(geometry.to_nm(there) - geometry.to_nm(home)))


def _pair(vector: NDArray[np.float64]) -> tuple[float, float]:
    return float(vector[0]), float(vector[1])
