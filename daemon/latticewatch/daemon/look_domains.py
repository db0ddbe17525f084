"""Scheme two in the pipeline: domains, the boundaries between them, faults, amorphous patches."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.domain_findings import domain_findings
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, Scene, Sight
from latticewatch.daemon.stopwatch import Stopwatch
from latticewatch.detectors.patterson.boundaries import find_boundaries
from latticewatch.detectors.patterson.domains import find_domains
from latticewatch.detectors.patterson.faults import find_faults
from latticewatch.detectors.patterson.friedel import SMALLEST_SIDE_PX, Transformer
from latticewatch.detectors.patterson.patches import find_patches

NAME = "domains"
_NAMED = (NAME, "none", "0" * 64)


class DomainLooker:
    """Asks the amplitudes of reflections where the crystal is another one, or none.

    Parameters
    ----------
    clock
        For the times of the stages.
    always
        Look at every frame; else only at those of which a part does not hold the lattice, which is
        where a boundary or a patch shows first.
    """

    name = NAME
    needs_lattice = True

    def __init__(self, clock: Clock, *, always: bool) -> None:
        self._clock = clock
        self._always = always
        self._transformer: Transformer | None = None

    def look(self, scene: Scene, budget: Budget) -> Sight:
        """Draw lines and patches; the budget is for points and is left alone.

        The p-value of a line counts all places of a frame already, and its limit is fixed.
        """
        del budget
        watch = Stopwatch(self._clock)
        lattice = scene.lattice
        if lattice is None or not (self._always or not lattice.lock.holds.all()):
            return Sight(*_NAMED, is_extended=True)
        shape = (scene.image.shape[0], scene.image.shape[1])
        if min(shape) < SMALLEST_SIDE_PX:
            return Sight(*_NAMED, is_extended=True)
        if self._transformer is None or self._transformer.shape_yx != shape:
            self._transformer = Transformer(shape)
        domains = find_domains(scene.image, transformer=self._transformer)
        if domains is None:
            watch.lap(NAME)
            return Sight(*_NAMED, is_extended=True, stage_us=watch.us)
        findings = domain_findings(
            find_boundaries(domains, shape),
            find_faults(domains),
            find_patches(domains, scene.image),
        )
        watch.lap(NAME)
        return Sight(
            *_NAMED,
            findings=tuple(findings),
            q_value=np.array([finding.p_value for finding in findings]),
            stage_us=watch.us,
            is_extended=True,
            n_domains=domains.n_domains,
        )

    def warm_up(self, image: NDArray[np.float32]) -> None:
        """Look at a twin with a hole, so that lines and patches are drawn."""
        twin = image.copy()
        half = twin.shape[1] // 2
        twin[:, half:] = twin[::-1, half:]
        quarter = twin.shape[0] // 4
        twin[quarter : 2 * quarter, half // 4 : 3 * half // 4] = twin.mean()
        if min(twin.shape) < SMALLEST_SIDE_PX:
            return
        domains = find_domains(twin)
        if domains is not None:
            find_boundaries(domains, (twin.shape[0], twin.shape[1]))
            find_faults(domains)
            find_patches(domains, twin)
