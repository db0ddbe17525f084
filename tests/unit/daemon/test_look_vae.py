"""The autoencoder in the pipeline: what it lists, where, and when it lists nothing."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.config import load_settings
from latticewatch.daemon.look_vae import LoadedVae, SiteLooker, read_vae
from latticewatch.daemon.look_windows import WindowLooker
from latticewatch.daemon.models import load_vae, vae_in_force
from latticewatch.daemon.sights import Scene
from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae import unlocked
from latticewatch.detectors.vae.linear_model import LinearModel
from latticewatch.detectors.vae.model import DETECTOR, VaeModel
from latticewatch.detectors.vae.score import VaeDetector
from latticewatch.detectors.vae.unlocked import UnlockedRule
from support.crystals import TickingClock, image_of, specimen
from support.vae_looks import (
    BUDGET,
    NAMED,
    both_model,
    linear_model,
    scene_of,
    site_looker,
    square_linear,
)
from support.vae_models import (
    flat_model,
    nearest_site,
    square_frame,
    view_of,
    without_column,
)
from support.windows_networks import network

MODELS = [pytest.param(flat_model, id="network"), pytest.param(square_linear, id="twin")]
Image = NDArray[np.float32]


def column_near(place_yx: tuple[float, float], frame: Image) -> NDArray[np.float64]:
    view = view_of(square_linear(), frame)
    place: NDArray[np.float64] = view.places_yx[nearest_site(view, place_yx)].copy()
    return place


def damaged(*near_yx: tuple[float, float], seed: int = 8) -> tuple[Image, list[Any]]:
    """Make a frame that lacks the columns near some places, and say where they were."""
    frame, places = square_frame(seed), []
    for one in near_yx:
        places.append(column_near(one, square_frame(seed)))
        frame = without_column(frame, places[-1])
    return frame, places


# What is listed


def test_vacancy_of_a_crystal_is_listed_at_its_place_and_by_its_name() -> None:
    pixels, truth = specimen(seed=23, vacancies=2, substitutions=0, displaced=0)
    sight = site_looker(linear_model()).look(scene_of(image_of(pixels)), BUDGET)
    assert (sight.condition, sight.faults, sight.note) == ("ok", (), "")
    assert [one.kind for one in sight.findings] == ["vacancy", "vacancy"]
    for place in truth.pixel_yx:
        away = [np.hypot(*(place - one.pixel_yx)) for one in sight.findings]
        assert min(away) < 0.1 * truth.period_px
    assert (sight.q_value <= 0.05).all()
    assert 0 < sight.n_scored < sight.n_sites
    assert sight.lattice is not None


@pytest.mark.parametrize("model", [*MODELS, pytest.param(both_model, id="both")])
def test_missing_column_is_found_by_each_scorer_and_by_both(model: Any) -> None:  # noqa: ANN401
    pytest.importorskip("onnx")
    frame, (place,) = damaged((160.0, 160.0))
    sight = site_looker(model()).look(scene_of(frame), BUDGET)
    (finding,) = sight.findings
    assert finding.kind == "vacancy"
    assert np.hypot(*(place - finding.pixel_yx)) < 2.0
    assert all(np.isfinite((z, p)).all() for _, z, p in finding.parts)


def test_clean_frame_of_a_crystal_lists_nothing() -> None:
    clean = image_of(specimen(seed=31, perfect=True)[0])
    sight = site_looker(linear_model()).look(scene_of(clean), BUDGET)
    assert sight.n_scored > 100
    assert sight.findings == ()
    assert len(sight.q_value) == 0


@pytest.mark.parametrize("model", MODELS)
def test_picture_is_made_where_it_is_asked_for_and_darkest_at_a_vacancy(model: Any) -> None:  # noqa: ANN401
    pytest.importorskip("onnx")
    frame, (place,) = damaged((160.0, 160.0))
    assert site_looker(model()).look(scene_of(frame), BUDGET).picture is None
    picture = site_looker(model()).look(scene_of(frame, pictures=True), BUDGET).picture
    assert picture is not None
    assert picture.layer == "vae"
    assert picture.values.shape == frame.shape
    darkest = np.unravel_index(np.nanargmin(picture.values), frame.shape)
    assert np.hypot(*(np.array(darkest) - place)) < 3.0


def test_columns_beside_repaired_pixels_are_not_judged() -> None:
    frame, (place,) = damaged((160.0, 160.0))
    plain = scene_of(frame)
    bad = Scene(plain.image, np.rint(place)[None].astype(np.intp), plain.lattice)
    whole, part = (site_looker(square_linear()).look(one, BUDGET) for one in (plain, bad))
    assert part.n_scored < whole.n_scored
    assert part.findings == ()


def test_frame_without_a_lattice_is_no_fault_of_the_model() -> None:
    noise = np.random.default_rng(0).poisson(20, (320, 320)).astype(np.float32)
    sight = site_looker(square_linear()).look(scene_of(noise), BUDGET)
    assert (sight.condition, sight.faults) == ("ok", ("not_periodic",))
    assert sight.findings == ()


@pytest.mark.parametrize("model", MODELS)
def test_warm_up_leaves_no_trace(model: Any) -> None:  # noqa: ANN401
    pytest.importorskip("onnx")
    frame, _ = damaged((160.0, 160.0))
    used, fresh = site_looker(model()), site_looker(model())
    used.warm_up(square_frame(3, scale=1.06).copy())
    used.warm_up(np.zeros((64, 96), np.float32))
    one, other = (looker.look(scene_of(frame), BUDGET) for looker in (used, fresh))
    assert one.findings == other.findings
    assert one.condition == other.condition == "ok"


# What a frame says against the model


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("scale", "turn", "value", "limit"),
    [
        (1.06, 0.0, "period +6.", "limit 2.0%"),
        (1.0, 5.0, "turned by -4.", "limit 1.5"),
    ],
)
def test_stale_model_says_value_and_limit_and_lists_nothing(
    model: Any,  # noqa: ANN401
    scale: float,
    turn: float,
    value: str,
    limit: str,
) -> None:
    pytest.importorskip("onnx")
    frame = without_column(square_frame(3, scale=scale, turn=turn), np.array([160.0, 160.0]))
    sight = site_looker(model()).look(scene_of(frame), BUDGET)
    assert (sight.condition, sight.faults, sight.n_scored) == ("stale", ("model_stale",), 0)
    assert sight.findings == ()
    assert sight.note.startswith("vae: the model does not fit: ")
    assert value in sight.note
    assert limit in sight.note
    assert "\n" not in sight.note


def test_channel_with_dark_columns_is_not_judged_by_a_model_of_bright_ones() -> None:
    looker = site_looker(square_linear())
    sight = looker.look(scene_of(damaged((160.0, 160.0))[0], channel="ABF"), BUDGET)
    assert (sight.condition, sight.faults) == ("stale", ("model_stale",))
    assert sight.note == "vae: columns of channel ABF are dark, the model knows bright ones"
    assert sight.findings == ()


def test_model_that_was_stale_is_trusted_again_after_two_frames() -> None:
    looker = site_looker(square_linear())
    good, turned = scene_of(square_frame(8)), scene_of(square_frame(3, turn=5.0))
    conditions = [looker.look(one, BUDGET).condition for one in (turned, good, good)]
    assert conditions == ["stale", "stale", "ok"]


def test_one_odd_frame_does_not_make_a_model_stale_and_is_not_judged() -> None:
    looker = site_looker(square_linear())
    good, turned = scene_of(square_frame(8)), scene_of(square_frame(3, turn=5.0))
    sights = [looker.look(one, BUDGET) for one in (good, turned, good)]
    assert [one.condition for one in sights] == ["ok", "ok", "ok"]
    assert [one.faults for one in sights] == [(), ("model_stale",), ()]
    assert sights[1].n_scored == 0


# Residuals that are not numbers


class SpoilsOne:
    """Redraws as another does, but for one window, counted over all calls of a frame."""

    def __init__(self, true: Any, row: int) -> None:  # noqa: ANN401 - a Redrawer
        self._true, self._row, self._n_before = true, row, 0

    def inputs(self, n: int) -> NDArray[np.float32]:
        inputs: NDArray[np.float32] = self._true.inputs(n)
        return inputs

    def redraw_inputs(self, n: int) -> NDArray[np.float32]:
        drawn: NDArray[np.float32] = self._true.redraw_inputs(n)
        if 0 <= self._row - self._n_before < len(drawn):
            drawn[self._row - self._n_before] = np.nan
        self._n_before += n
        return drawn


@pytest.mark.parametrize("model", [flat_model, both_model])
def test_site_whose_residual_is_nan_is_counted_and_never_listed(model: Any) -> None:  # noqa: ANN401
    pytest.importorskip("onnx")
    frame, (spoilt, other) = damaged((140.0, 120.0), (180.0, 220.0))
    scene = scene_of(frame)
    detector = VaeDetector(model())
    view = view_of(detector.model, frame)
    site = nearest_site(view, (spoilt[0], spoilt[1]))
    detector.redraw(view)
    row = int(np.flatnonzero(detector._rows == site)[0])
    detector._network = SpoilsOne(detector._network, row)  # type: ignore[assignment] # same verb
    sight = SiteLooker(detector, NAMED, TickingClock()).look(scene, BUDGET)
    assert sight.n_refused == 1
    places = np.array([one.pixel_yx for one in sight.findings])
    assert np.hypot(*(places - other).T).min() < 2.0
    assert all(np.isfinite((z, p)).all() for one in sight.findings for _, z, p in one.parts)


def nan_network(value: float) -> bytes:
    """ONNX of a network that draws this everywhere."""
    from latticewatch.detectors.vae.export import to_onnx
    from latticewatch.detectors.vae.shape import NetworkShape

    shape = NetworkShape(33, (2, 2), 2, (), 23, "plain")
    sides = {
        "encoder.0": (2, 1, 3, 3),
        "encoder.2": (2, 2, 3, 3),
        "mean": (2, shape.n_encoded),
        "log_variance": (2, shape.n_encoded),
        "seed": (23**2, 2),
    }
    weights = {f"{name}.weight": np.zeros(each, np.float32) for name, each in sides.items()}
    weights |= {f"{name}.bias": np.zeros(each[0], np.float32) for name, each in sides.items()}
    weights["seed.bias"] += np.float32(value)
    return to_onnx(shape, weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("pictures", [False, True])
def test_network_that_draws_no_numbers_lists_nothing_and_every_site_is_counted(
    value: float, pictures: bool
) -> None:
    pytest.importorskip("onnx")
    frame, _ = damaged((160.0, 160.0))
    detector = VaeDetector(replace(flat_model(), network=nan_network(value)))
    looker = SiteLooker(detector, NAMED, TickingClock())
    sight = looker.look(scene_of(frame, pictures=pictures), BUDGET)
    assert sight.n_refused > 80
    assert (sight.n_scored, sight.findings) == (0, ())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_network_that_draws_no_numbers_is_refused_when_it_is_loaded(
    value: float, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    spoilt = replace(flat_model(), network=nan_network(value))
    with pytest.raises(ModelError, match="probe is off"):
        load_vae(written(spoilt, tmp_path))


# Files


def written(model: VaeModel | LinearModel, folder: Path) -> str:
    path = folder / "my.model"
    write_artifact(path, detector=DETECTOR, header=model.header(), arrays=model.arrays())
    return str(path)


def windows_file(folder: Path, *, side: int = 32) -> str:
    rule = UnlockedRule(window_px=side, step_px=side // 2, middle=0.5, spread=0.2)
    stored = {"network_onnx": np.frombuffer(network(side, "plain"), np.uint8)}
    path = folder / "my.model"
    write_artifact(
        path,
        detector=DETECTOR,
        header=unlocked.header_of(rule) | {"usual_square": 0.1},
        arrays=stored,
    )
    return str(path)


def test_model_of_each_mode_is_loaded_with_its_looker(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    files = {
        written(flat_model(), tmp_path): SiteLooker,
        written(linear_model(), _folder(tmp_path, "twin")): SiteLooker,
        windows_file(_folder(tmp_path, "windows")): WindowLooker,
    }
    for name, kind in files.items():
        loaded = load_vae(name)
        assert (loaded.artifact, len(loaded.sha256)) == (name, 64)
        looker = loaded.looker(TickingClock())
        assert isinstance(looker, kind)
        assert looker.name == "vae"


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def test_looker_of_a_file_names_it_and_sees_as_the_model_that_was_written(tmp_path: Path) -> None:
    frame, _ = damaged((160.0, 160.0))
    loaded = load_vae(written(square_linear(), tmp_path))
    sight = loaded.looker(TickingClock()).look(scene_of(frame), BUDGET)
    assert (sight.artifact, sight.sha256) == (loaded.artifact, loaded.sha256)
    assert sight.findings == site_looker(square_linear()).look(scene_of(frame), BUDGET).findings


def test_lookers_of_one_model_do_not_share_what_frames_said(tmp_path: Path) -> None:
    loaded: LoadedVae = load_vae(written(square_linear(), tmp_path))
    one, other = (loaded.looker(TickingClock()) for _ in range(2))
    assert one.look(scene_of(square_frame(3, turn=5.0)), BUDGET).condition == "stale"
    assert other.look(scene_of(square_frame(8)), BUDGET).condition == "ok"


@pytest.mark.parametrize("mode", ["best", None, 3, ["pca"], {}])
def test_mode_that_is_unknown_is_one_line(mode: object) -> None:
    header = {**linear_model().header(), "mode": mode}
    artifact = Artifact(DETECTOR, header, linear_model().arrays(), "0" * 64)
    with pytest.raises(ModelError, match=r"^my\.model: mode = ") as caught:
        read_vae(artifact, "my.model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["default", "pca", "unlocked", "as_published"])
def test_model_of_another_detector_is_refused_whatever_its_mode(mode: str) -> None:
    header = {**linear_model().header(), "mode": mode}
    artifact = Artifact("patterson", header, linear_model().arrays(), "0" * 64)
    with pytest.raises(ModelError, match=r"^my\.model: a patterson model, expected vae$"):
        read_vae(artifact, "my.model")


def test_setting_is_named_where_its_model_is_refused(tmp_path: Path) -> None:
    vae = load_settings().detectors.vae
    assert vae_in_force(vae) is None
    name = written(replace(square_linear(), score_spread=-1.0), tmp_path)
    told = vae.model_copy(update={"enabled": True, "model": name})
    with pytest.raises(ModelError, match=r"^detectors\.vae\.model: .*score_spread") as caught:
        vae_in_force(told)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_frame_is_judged_without_torch_and_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    name = written(both_model(), tmp_path)
    np.save(tmp_path / "frame.npy", damaged((160.0, 160.0))[0])
    code = (
        "import sys, numpy as np\n"
        "from latticewatch.daemon.models import load_vae\n"
        "from latticewatch.daemon.ports import SystemClock\n"
        "from support.vae_looks import BUDGET, scene_of\n"
        f"looker = load_vae({name!r}).looker(SystemClock())\n"
        f"frame = np.load({str(tmp_path / 'frame.npy')!r})\n"
        "looker.warm_up(frame)\n"
        "print([one.kind for one in looker.look(scene_of(frame), BUDGET).findings])\n"
        "print(sorted({'torch', 'onnx', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["['vacancy']", "[]"], done.stderr
