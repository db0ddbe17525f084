"""The file of the page of motifs: its size, and what is refused before the work."""

import builtins
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replaced

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.motif_page import MOST_BYTES, MOST_FRAMES, MOST_HIDDEN_NOTES, MotifPage
from latticewatch.daemon.motif_page_files import check_report
from support.golden_events import event_messages
from support.motif_pages import written
from support.motif_sites import (
    made_up_event,
    made_up_frame,
    made_up_model,
)

for _needed in ("jinja2", "matplotlib"):
    pytest.importorskip(_needed, reason="a report needs the io extra", exc_type=ImportError)


def test_frames_past_the_limit_are_counted_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    read = written(path, n_frames=MOST_FRAMES + 2)

    assert sum(attrs.get("class") == "frame" for attrs in read.all_of("section")) == MOST_FRAMES
    assert f"the first {MOST_FRAMES} of {MOST_FRAMES + 2} frames are shown" in read.text


def test_what_was_said_of_a_frame_that_is_not_shown_is_kept(tmp_path: Path) -> None:
    page = MotifPage(tmp_path / "out.html")
    event = event_messages()["event_not_scored"]
    for index in range(MOST_FRAMES + 30):
        notes = [f"odd {index}"] if index >= MOST_FRAMES else []
        page.add(event, np.zeros((32, 32)), name="a.tif", index=index, sites=None, notes=notes)
    page.write()

    text = (tmp_path / "out.html").read_text()
    assert f"a.tif [{MOST_FRAMES}], not shown: odd {MOST_FRAMES}" in text
    assert text.count(", not shown: odd") == MOST_HIDDEN_NOTES


def test_a_page_stays_small_whatever_the_frames_are(tmp_path: Path) -> None:
    model = made_up_model()
    page = MotifPage(tmp_path / "out.html")
    rng = np.random.default_rng(1)
    _, sites = made_up_frame(model, side_px=512)
    event = made_up_event(sites, (512, 512))
    # As many defects as an event may hold, on the noise that compresses worst.
    crowded = replaced(event, defects=(event.defects * 100)[:1024])
    for index in range(8):
        noise = rng.normal(size=(1200, 1200)).astype(np.float32)
        page.add(crowded, noise, name="a.tif", index=index, sites=sites)
    page.write()

    assert 1 <= page.n_shown < 8
    assert (tmp_path / "out.html").stat().st_size < MOST_BYTES + 100_000
    assert "the page would be larger than" in (tmp_path / "out.html").read_text()


@pytest.mark.parametrize(
    ("name", "out", "told"),
    [
        ("-", None, "a page is no stream"),
        ("missing/out.html", None, "no such folder"),
        ("folder", None, "is a folder"),
        ("in.npy", None, "is an input"),
        ("folder/../in.npy", None, "is an input"),
        ("events.jsonl", "events.jsonl", "is the file of --out"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    name: str, out: str | None, told: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    path = Path(name) if name == "-" else tmp_path / name

    with pytest.raises(InputError, match=told):
        check_report(
            path,
            inputs=[tmp_path / "in.npy"],
            out=None if out is None else tmp_path / out,
        )


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_a_missing_library_is_named_with_its_remedy(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without(name: str, *given: object, **named: object) -> object:
        if name == library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found(name, *given, **named)  # type: ignore[arg-type] # what it was given itself

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(InputError, match=rf"needs {library}: pip install .latticewatch\[io\]"):
        check_report(tmp_path / "out.html", inputs=[], out=None)


def test_a_page_that_fails_at_the_end_says_why_and_leaves_no_half(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    page = MotifPage(folder / "out.html")
    folder.rmdir()

    with pytest.raises(InputError, match="cannot be written"):
        page.write()
