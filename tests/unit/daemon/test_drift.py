"""Where the specimen has gone is told from the frame on in which its lattice was found."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.drift import Followed
from latticewatch.detectors.follow import Refusal
from latticewatch.wire.events import Drift
from latticewatch.wire.frames import FrameHeader, PartialContext, Roi
from support.crystals import image_of, specimen
from support.headers import frame

SIDE_PX = 320
LARGE = image_of(specimen(shape_yx=(400, 400), perfect=True, seed=4)[0])
NOISE = np.random.default_rng(1).normal(size=(SIDE_PX, SIDE_PX)).astype(np.float32)
FOV_NM = (8.0, 16.0)


def window(y: int, x: int) -> NDArray[np.float32]:
    """What is seen when the field has moved over the specimen by so much."""
    return np.ascontiguousarray(LARGE[y : y + SIDE_PX, x : x + SIDE_PX])


def header(seq: int, **changes: object) -> FrameHeader:
    fields: dict[str, object] = {
        "shape_yx": (SIDE_PX, SIDE_PX),
        "dtype": "<f4",
        "t_complete_ns": 1_000_000_000 + 500_000_000 * seq,
    }
    return frame(seq, **(fields | changes))


def drift_of(followed: Followed, seq: int, image: NDArray[np.float32], **changes: object) -> Drift:
    lattices, drift = followed.look(header(seq, **changes), image)
    assert not isinstance(lattices, Refusal)
    assert drift is not None
    return drift


def test_way_adds_up_from_the_first_frame() -> None:
    followed = Followed()
    assert followed.look(header(3), window(20, 30))[1] is None

    for step in range(1, 5):
        drift = drift_of(followed, 3 + step, window(20 + 3 * step, 30 - 2 * step))
        assert drift.ref_seq == 3
        # The field went down and left, so the specimen went up and right.
        expected = np.array([-3.0, 2.0]) * step / SIDE_PX
        error = np.array(drift.offset_frac_yx) - expected
        assert np.abs(error).max() < 0.15 / SIDE_PX
        assert 0 < drift.cov_frac[0] < (0.1 / SIDE_PX) ** 2
        assert (drift.offset_nm_yx, drift.rate_nm_s_yx) == (None, None)


def test_calibrated_way_is_told_in_nanometres_and_their_rate() -> None:
    followed = Followed()
    context = PartialContext(
        size_yx=(SIDE_PX, SIDE_PX), fov_nm_yx=FOV_NM, center_nm_yx=(0.0, 0.0), rotation_rad=0.0
    )
    fields: dict[str, object] = {"calibrated": True, "context": context}
    followed.look(header(0, **fields), window(20, 30))

    drift = drift_of(followed, 1, window(24, 30), **fields)

    expected = -4.0 * FOV_NM[0] / SIDE_PX
    assert drift.offset_nm_yx == pytest.approx((expected, 0.0), abs=0.005)
    assert drift.rate_nm_s_yx == pytest.approx((2 * expected, 0.0), abs=0.01)


@pytest.mark.parametrize(
    "changes",
    [
        {"session": "f" * 32},
        {"roi": Roi(center_frac_yx=(0.4, 0.5), size_frac_yx=(0.5, 0.5))},
        {"channel": "BF"},
    ],
    ids=["session", "field", "channel"],
)
def test_another_session_field_or_channel_begins_anew(changes: dict[str, object]) -> None:
    followed = Followed()
    followed.look(header(0), window(20, 30))

    lattices, drift = followed.look(header(1, **changes), window(22, 30))

    assert not isinstance(lattices, Refusal)
    (lattice,) = lattices
    assert (lattice.followed, drift) == (False, None)
    assert drift_of(followed, 2, window(22, 30), **changes).ref_seq == 1


def test_frame_without_a_lattice_ends_the_chain_and_says_why() -> None:
    followed = Followed()
    followed.look(header(0), window(20, 30))

    refusal, drift = followed.look(header(1), NOISE)

    assert isinstance(refusal, Refusal)
    assert drift is None
    assert "needed" in str(refusal)
    assert followed.look(header(2), window(22, 30))[1] is None
