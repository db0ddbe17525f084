"""`fit`: which detectors, with which options, into which files."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from latticewatch.daemon import cli_files, fit_options
from latticewatch.daemon.fit_labels import Labels
from latticewatch.daemon.fitting import FitProgress, FitReport
from latticewatch.daemon.reference_frames import Reference

Job = tuple[str, str, dict[str, Any]]  # Any: JSON


class Notebook:
    """Takes the place of the process that fits, and remembers what it was asked."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.n_steps = 0
        self.labelled: list[tuple[str, Labels]] = []
        self.lines: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def fit(
        self,
        reference: Reference,
        *,
        out: Path,
        detector: str,
        parameters: dict[str, Any],
        labelled: Labels | None,
        progress: Callable[[FitProgress], None],
    ) -> FitReport:
        assert reference.images
        if labelled is not None:
            self.labelled.append((detector, labelled))
        self.jobs.append((detector, out.name, parameters))
        for step in range(1, self.n_steps + 1):
            progress(FitProgress(step, self.n_steps, 2.0 * (self.n_steps - step), "loss 3.2"))
        return FitReport(out, "0" * 64, told="12 sites", warnings=("few sites",), lines=self.lines)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    kept = Notebook()
    monkeypatch.setattr("latticewatch.daemon.fitting.FitProcess", lambda: kept)
    return kept


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    np.save(tmp_path / "clean.npy", np.ones((32, 32), np.uint16))
    return tmp_path / "clean.npy"


def fit(frames: Path, *arguments: str) -> Any:  # noqa: ANN401 - click's result has no public name
    app = typer.Typer()
    cli_files.register(app)
    return CliRunner().invoke(
        app, ["fit", str(frames), "-o", str(frames.parent / "m.model"), *arguments]
    )


def test_scheme_one_is_fitted_unless_told_otherwise(notebook: Notebook, frames: Path) -> None:
    done = fit(frames)

    assert done.exit_code == 0
    assert notebook.jobs == [
        ("patterson", "m.model", {"features": "patterson", "image": "frame"}),
    ]
    assert done.stdout == f"{frames.parent / 'm.model'}: 12 sites, sha256 {'0' * 16}\n"
    assert done.stderr == "warning: few sites\n"


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (("--image", "columns"), {"features": "patterson", "image": "columns"}),
        (
            ("--features", "pixels", "--polarity", "dark", "--as-published"),
            {
                "features": "pixels",
                "image": "frame",
                "polarity": "dark",
                "preset": "as_published",
            },
        ),
    ],
)
def test_options_become_parameters_of_the_fit(
    notebook: Notebook, frames: Path, arguments: tuple[str, ...], parameters: dict[str, str]
) -> None:
    assert fit(frames, "--detectors", "patterson", *arguments).exit_code == 0
    assert [job[2] for job in notebook.jobs] == [parameters]


def test_the_autoencoder_has_options_of_its_own(notebook: Notebook, frames: Path) -> None:
    kept = frames.parent / "half.npz"

    done = fit(
        frames, "--detectors", "vae", "--scorer", "pca", "--epochs", "7", "--seed", "3",
        "--checkpoint", str(kept),
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    given = {"scorer": "pca", "seed": 3, "epochs": 7, "checkpoint": str(kept)}
    assert notebook.jobs == [("vae", "m.model", given)]


def test_a_long_fit_tells_a_log_how_far_it_is(notebook: Notebook, frames: Path) -> None:
    notebook.n_steps = 50

    told = fit(frames, "--detectors", "vae").stderr.splitlines()

    assert told[0] == "vae: 1 of 50, 1 min 38 s left, loss 3.2"
    assert told[10] == "vae: 50 of 50, 0 s left, loss 3.2"
    assert len(told) == 12  # every fifth, the first, and the warning


def test_those_that_need_no_model_are_told_of_and_the_others_fitted(
    notebook: Notebook, frames: Path
) -> None:
    done = fit(frames, "--detectors", "domains, patterson,reference_cell")

    assert [job[0] for job in notebook.jobs] == ["patterson"]
    assert done.stderr.splitlines()[:2] == [
        "domains needs no model: nothing to fit for it",
        "reference_cell needs no model: nothing to fit for it",
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("wae", "'wae': expected one or more of patterson, vae, symmetry, motifs (reference_cell"),
        ("patterson,wae", "'patterson,wae': expected one or more of patterson"),
        ("", "'': expected one or more of patterson"),
        ("reference_cell,domains", "nothing to fit, expected one or more of patterson"),
    ],
)
def test_names_that_cannot_be_fitted_are_refused_and_what_can_be_is_listed(
    notebook: Notebook, frames: Path, names: str, words: str
) -> None:
    done = fit(frames, "--detectors", names)

    assert done.exit_code == 2
    told = " ".join(done.stderr.replace("│", " ").split())
    assert words in told
    assert not notebook.jobs


def test_a_detector_that_is_new_in_the_table_brings_its_own_options(
    notebook: Notebook, frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def new_options(
        *,
        latent: Annotated[int, typer.Option(help="Latent variables.")] = 6,
        polarity: fit_options.Polarity = fit_options.ColumnPolarity.AUTO,
    ) -> dict[str, Any]:
        return {"latent": latent, "polarity": polarity.value}

    monkeypatch.setitem(fit_options.FITTED, "new", new_options)

    done = fit(
        frames, "--detectors", "new,patterson", "--latent", "3", "--polarity", "dark", "--image",
        "columns",
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    assert notebook.jobs == [
        ("new", "m.new.model", {"latent": 3, "polarity": "dark"}),
        (
            "patterson",
            "m.patterson.model",
            {"features": "patterson", "image": "columns", "polarity": "dark"},
        ),
    ]


def test_help_says_what_redrawn_columns_are_for(frames: Path) -> None:
    shown = " ".join(fit(frames, "--help").output.replace("│", " ").split())

    assert "for doped crystals" in shown
    assert "redrawn with all columns alike" in shown


def test_labels_go_to_who_learns_from_them_alone(notebook: Notebook, frames: Path) -> None:
    mask = frames.with_name("mask.npy")
    np.save(mask, np.zeros(np.load(frames).shape, np.uint8))
    notebook.lines = ("accuracy 99 %",)

    done = fit(frames, "--detectors", "patterson,symmetry", "--labels", str(mask))

    assert done.exit_code == 0, done.output
    assert [(name, len(labels.masks)) for name, labels in notebook.labelled] == [("symmetry", 1)]
    assert "accuracy 99 %" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--labels", "m.npy"), "only symmetry learns from labels"),
        (("--detectors", "symmetry", "--as-published"), "there to compare with"),
        (("--detectors", "symmetry", "--gate-network", "vgg16"), "belong together"),
        (("--detectors", "symmetry", "--gate-weights", "w.npz"), "belong together"),
        (
            ("--detectors", "symmetry", "--gate-network", "vgg16", "--gate-weights", "w.npz"),
            "a gate is trained by labels",
        ),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    notebook: Notebook, frames: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = fit(frames, *arguments)

    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert not notebook.jobs
