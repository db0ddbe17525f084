"""Fixtures that cost a second and that many tests look at."""

import os

# As the daemon does, before numpy is imported: small products gain nothing from threads, and two
# threads that wait for each other on a busy machine made a fit of one second take fifty.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from latticewatch.detectors.patterson.fit import FitReport, fit
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.parameters import PattersonParameters
from support.crystals import image_of, specimen

# The same examples in every run, so that a failure says something about the change that is tested.
# `--hypothesis-profile search` looks for new ones; what it finds becomes an @example.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1500, deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def fitted() -> tuple[PattersonModel, FitReport]:
    """Scheme one fitted to two frames of the demo crystal, defects included."""
    frames = [image_of(specimen(seed=seed)[0]) for seed in (41, 42)]
    return fit(frames, PattersonParameters())
