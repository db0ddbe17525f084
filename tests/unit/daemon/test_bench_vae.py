"""The bench of the autoencoder: both rows, or a reason."""

from pathlib import Path

import numpy as np
import pytest

from latticewatch.daemon.bench_vae import NETWORK, TWIN, autoencoder_cases
from latticewatch.detectors.artifact import write_artifact
from latticewatch.detectors.protocols import Scores
from support.vae_models import flat_model, square_frame

pytestmark = pytest.mark.slow


def test_both_rows_score_the_sites_of_the_frame(tmp_path: Path) -> None:
    path, model = tmp_path / "flat.model", flat_model()
    write_artifact(path, detector="vae", header=model.header(), arrays=model.arrays())

    cases, missing = autoencoder_cases(square_frame(0), str(path))

    assert [name for name, _ in cases] == [NETWORK, TWIN]
    assert missing == ()
    for _, call in cases:
        scores = call()
        assert isinstance(scores, Scores)
        assert np.count_nonzero(scores.scored) > 50


def test_what_cannot_be_measured_has_a_reason(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).random((320, 320), np.float32)

    cases, missing = autoencoder_cases(square_frame(0), str(tmp_path / "none.model"))
    of_noise, why = autoencoder_cases(noise, str(tmp_path / "none.model"))

    assert [name for name, _ in cases] == [TWIN]
    assert len(missing) == 1
    assert NETWORK in missing[0]
    assert "none.model" in missing[0]
    assert of_noise == []
    assert len(why) == 2
