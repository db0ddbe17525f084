"""`analyze --report`: who looks, what is refused before the work, and what else is written."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.cli import app
from latticewatch.daemon.offline import analyze_inputs
from latticewatch.daemon.offline_pipeline import offline_settings, with_detectors
from latticewatch.daemon.offline_results import Destination

for _needed in ("jinja2", "matplotlib"):
    pytest.importorskip(_needed, reason="a report needs the io extra", exc_type=ImportError)


def report(crystal: Path, out: Path | None, page: Path, *others: Path) -> int:
    """Analyze without motifs: a page says so, and takes no model."""
    settings = with_detectors(offline_settings(), ["reference_cell"])
    to = Destination(out=out, page=page)
    return analyze_inputs([crystal, *others], settings=settings, to_fit=[], to=to)


def test_the_page_has_every_frame_of_every_input(
    crystal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.npy"
    other.write_bytes(crystal.read_bytes())
    page = tmp_path / "out.html"

    report(crystal, tmp_path / "e.jsonl", page, other)

    text = page.read_text(encoding="utf-8")
    assert text.count('<section class="frame"') == 4
    assert "Motifs of 2 inputs" in text
    assert "motifs did not look" in text
    assert capsys.readouterr().out.splitlines()[-1].endswith(f", report in {page}")


def test_events_stand_alone_on_standard_output_beside_a_page(
    crystal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(crystal, None, tmp_path / "out.html")

    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["input"]["index"] for line in lines] == [0, 1]
    assert (tmp_path / "out.html").exists()


def test_an_input_that_fails_is_named_on_the_page(crystal: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.npy"
    broken.write_bytes(b"not an array")

    n_failed = report(crystal, tmp_path / "e.jsonl", tmp_path / "out.html", broken)

    assert n_failed == 1
    assert "broken.npy" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_costs_no_work(crystal: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        report(crystal, tmp_path / "e.jsonl", tmp_path / "missing" / "out.html")

    assert not list(tmp_path.iterdir())


def test_a_page_needs_somebody_who_looks_for_points(crystal: Path, tmp_path: Path) -> None:
    arguments = ["analyze", str(crystal), "--report", str(tmp_path / "out.html")]

    done = CliRunner().invoke(app, [*arguments, "--detectors", "symmetry"])

    assert done.exit_code == 2
    assert "--detectors" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_why_no_model_could_be_fitted_stands_at_the_top(tmp_path: Path) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(1).poisson(9.0, (256, 256)))
    page = tmp_path / "out.html"
    settings = with_detectors(offline_settings(), ["reference_cell", "motifs"])
    to = Destination(out=tmp_path / "e.jsonl", page=page)

    analyze_inputs([tmp_path / "noise.npy"], settings=settings, to_fit=["motifs"], to=to)

    header, _, frame = page.read_text(encoding="utf-8").partition("</header>")
    assert "motifs does not look, others do" in header
    assert "the frame was not scored" in frame


@pytest.mark.slow
def test_motifs_is_added_to_those_who_look(crystal: Path, tmp_path: Path) -> None:
    arguments = ["analyze", str(crystal), "--report", str(tmp_path / "out.html")]
    arguments += ["--out", str(tmp_path / "e.jsonl"), "--detectors", "reference_cell"]

    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 0, done.stderr
    assert "motifs looks, too" in done.stderr
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert '<section class="model"' in text
    for line in (tmp_path / "e.jsonl").read_text().splitlines():
        assert "motifs" in [one["name"] for one in json.loads(line)["detectors"]]
