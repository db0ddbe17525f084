"""The daemon with a late detector in the place of `vae`, for tests that need a process of its own.

``python -m support.late_daemon run CONFIG``: `detectors.vae.model` is ``answers`` or ``hangs``.
"""

import threading
from dataclasses import dataclass

from latticewatch.daemon import models
from latticewatch.daemon.cli import main
from latticewatch.daemon.model_choices import VaeChoice
from latticewatch.daemon.ports import Clock
from latticewatch.daemon.sights import Budget, Looker, Scene, Sight
from support.late import FakeLooker, finding


class HangingLooker(FakeLooker):
    """Never gives an answer."""

    def look(self, scene: Scene, budget: Budget) -> Sight:
        if threading.current_thread().name == "late":
            threading.Event().wait()
        return super().look(scene, budget)


@dataclass(frozen=True)
class FakeModel:
    """A model that sees one place in every frame, or hangs."""

    artifact: str
    sha256: str = "cd" * 32

    def looker(self, clock: Clock) -> Looker:
        del clock
        kind = HangingLooker if self.artifact == "hangs" else FakeLooker
        return kind("vae", findings=(finding((101.5, 77.25)),))


def fake_vae(choice: VaeChoice) -> FakeModel | None:
    return FakeModel(choice.model) if choice.enabled else None


if __name__ == "__main__":
    models.vae_in_force = fake_vae
    main()
