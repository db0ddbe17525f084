import builtins
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replaced

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.motif_page import MOST_BYTES, MOST_FRAMES, MOST_HIDDEN_NOTES, MotifPage
from latticewatch.daemon.motif_page_classes import ratio_error
from latticewatch.daemon.motif_page_files import check_report
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.wire.motifs import MotifChange
from latticewatch.wire.words import DetectorCondition
from support.golden_events import event_messages
from support.motif_sites import (
    CLASSES,
    HOSTILE,
    made_up_event,
    made_up_frame,
    made_up_model,
    renamed,
)

for _needed in ("jinja2", "matplotlib"):
    pytest.importorskip(_needed, reason="a report needs the io extra", exc_type=ImportError)

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._table = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "table":
            self._table = given.get("class") or ""
            self.tables.setdefault(self._table, [])
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"{tag} closes nothing"

    def handle_data(self, data: str) -> None:
        if "td" in self._open or "th" in self._open:
            self.tables[self._table][-1][-1] += data

    def all_of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def written(
    path: Path, model: MotifModel | None = None, *, n_frames: int = 1, named: bool = True
) -> Page:
    page = MotifPage(path)
    model = model or made_up_model()
    for index in range(n_frames):
        image, sites = made_up_frame(model, side_px=256)
        event = made_up_event(sites, (256, 256))
        page.add(event, image, name="a.tif", index=index, sites=sites if named else None)
    page.write()
    return Page(path.read_text(encoding="utf-8"))


def test_a_hostile_name_is_text_and_nothing_else(tmp_path: Path) -> None:
    page = MotifPage(tmp_path / "out.html")
    model = renamed(made_up_model(), 3, HOSTILE)
    image, sites = made_up_frame(model, side_px=256)
    event = made_up_event(sites, (256, 256))
    page.add(event, image, name=f"{HOSTILE}.tif", index=None, sites=sites, notes=[HOSTILE])
    page.warn(HOSTILE)
    page.write()

    read = Page((tmp_path / "out.html").read_text())
    assert len(read.all_of("script")) == 1
    assert all("onerror" not in attrs for _, attrs in read.tags)
    assert all((attrs["src"] or "").startswith("data:image/") for attrs in read.all_of("img"))
    assert HOSTILE in [row[2].partition(" (by itself")[0] for row in read.tables["classes"][1:]]
    assert "<script>alert" not in read.text


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    read = written(tmp_path / "out.html")

    assert not re.search(r"(?:src|href|url|action)\s*[=(]\s*[\"']?\s*(?:https?:)?//", read.text)
    assert not read.all_of("link")
    assert "@import" not in read.text
    assert all((attrs["href"] or "").startswith("#") for attrs in read.all_of("a"))
    policy = next(attrs["content"] or "" for attrs in read.all_of("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_no_attribute_holds_style_or_script_which_the_policy_would_drop(tmp_path: Path) -> None:
    read = written(tmp_path / "out.html")

    assert not [name for _, attrs in read.tags for name in attrs if name == "style"]
    assert not [name for _, attrs in read.tags for name in attrs if name.startswith("on")]


def test_every_link_leads_somewhere_on_the_page(tmp_path: Path) -> None:
    read = written(tmp_path / "out.html", n_frames=2)

    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {(attrs["href"] or "")[1:] for attrs in read.all_of("a")} <= set(ids)


def test_every_class_is_in_the_table_with_its_average(tmp_path: Path) -> None:
    read = written(tmp_path / "out.html")

    rows = read.tables["classes"][1:]
    assert [row[1] for row in rows] == [str(one.class_id) for one in CLASSES]
    assert [row[2] for row in rows] == [one.name for one in CLASSES]
    assert rows[5][7] == "one S missing"
    assert sum(attrs.get("class") == "mean" for attrs in read.all_of("img")) == len(CLASSES)
    assert sum(attrs.get("class") == "error" for attrs in read.all_of("img")) == len(CLASSES)


def test_every_defect_is_in_the_table_and_in_the_picture(tmp_path: Path) -> None:
    model = made_up_model()
    image, sites = made_up_frame(model, side_px=256)
    event = made_up_event(sites, (256, 256))
    page = MotifPage(tmp_path / "out.html")
    page.add(event, image, name="a.tif", index=None, sites=sites)
    page.write()

    read = Page((tmp_path / "out.html").read_text())
    rows = read.tables["defects"][1:]
    assert [row[0] for row in rows] == [str(defect.i) for defect in event.defects]
    assert [row[3] for row in rows] == [defect.kind for defect in event.defects]
    marks = [attrs for attrs in read.all_of("a") if attrs.get("class") == "mark"]
    assert len(marks) == len(event.defects)


def test_counts_add_up_to_all_sites_and_all_defects(tmp_path: Path) -> None:
    model = made_up_model()
    image, sites = made_up_frame(model, side_px=256)
    event = made_up_event(sites, (256, 256))
    page = MotifPage(tmp_path / "out.html")
    page.add(event, image, name="a.tif", index=None, sites=sites)
    page.write()

    rows = Page((tmp_path / "out.html").read_text()).tables["counts"][1:]
    assert sum(int(row[3]) for row in rows) == len(sites.class_id)
    assert sum(int(row[4]) for row in rows) == len(event.defects)


def test_a_frame_without_classes_is_shown_and_says_so(tmp_path: Path) -> None:
    page = MotifPage(tmp_path / "out.html")
    event = event_messages()["event_not_scored"]
    page.add(event, np.zeros((128, 192)), name="a.tif", index=None, sites=None, notes=["why"])
    page.write()

    text = (tmp_path / "out.html").read_text()
    assert "No class is given to any site: the frame was not scored" in text
    assert '<p class="note">why</p>' in text
    assert "No defect is listed." in text


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (None, "motifs did not look"),
        ("stale", "does not fit this frame"),
        ("error", "the model failed"),
    ],
)
def test_why_no_site_has_a_class_is_said(
    state: DetectorCondition | None, told: str, tmp_path: Path
) -> None:
    page = MotifPage(tmp_path / "out.html")
    event = event_messages()["event_none"]
    if state is not None:
        motifs = replaced(event.detectors[0], name="motifs", state=state)
        event = replaced(event, detectors=(*event.detectors, motifs))
    page.add(event, np.zeros((128, 192)), name="a.tif", index=None, sites=None)
    page.write()

    assert told in (tmp_path / "out.html").read_text()


def test_a_frame_of_which_most_is_new_says_so(tmp_path: Path) -> None:
    model = made_up_model()
    image, sites = made_up_frame(model, side_px=256)
    strange = replace(sites, class_id=np.minimum(sites.class_id, 0))
    page = MotifPage(tmp_path / "out.html")
    event = made_up_event(strange, (256, 256))
    page.add(event, image, name="a.tif", index=None, sites=strange)
    page.write()

    assert "are new, far from all classes" in (tmp_path / "out.html").read_text()


def test_a_site_that_changed_is_listed(tmp_path: Path) -> None:
    change = MotifChange(
        site=(3, 4, 1),
        pixel_yx=(10.25, 20.5),
        frac_yx=(0.1, 0.2),
        before=2,
        after=0,
        before_label=HOSTILE,
        after_label="new",
        p=0.995,
    )
    model = made_up_model()
    image, sites = made_up_frame(model, side_px=256)
    event = replaced(made_up_event(sites, (256, 256)), motif_changes=(change,))
    page = MotifPage(tmp_path / "out.html")
    page.add(event, image, name="a.tif", index=None, sites=sites)
    page.write()

    rows = Page((tmp_path / "out.html").read_text()).tables["changes"][1:]
    assert rows == [["3, 4, 1", "10.2, 20.5", HOSTILE, "new", "0.995"]]


@pytest.mark.parametrize("shape_yx", [(16, 16), (16, 700), (900, 40)], ids=str)
def test_any_frame_has_its_shape_in_the_page(shape_yx: tuple[int, int], tmp_path: Path) -> None:
    page = MotifPage(tmp_path / "out.html")
    event = event_messages()["event_not_scored"]
    page.add(event, np.full(shape_yx, np.nan), name="a.tif", index=None, sites=None)
    page.write()

    read = Page((tmp_path / "out.html").read_text())
    boxes = [attrs.get("viewbox") for attrs in read.all_of("svg")]
    assert f"-0.5 -0.5 {shape_yx[1]} {shape_yx[0]}" in boxes


def test_a_model_without_layout_and_with_one_class_can_be_shown(tmp_path: Path) -> None:
    model = made_up_model(CLASSES[:1])
    bare = replace(
        model,
        patches=np.full_like(model.patches, np.nan),
        patch_errors=np.full_like(model.patch_errors, np.nan),
        sample_class=np.zeros(0, np.int64),
        layout_yx=np.zeros((0, 2), np.float32),
    )

    assert "The model holds no layout." in written(tmp_path / "out.html", bare).text


def test_the_error_of_a_ratio_is_that_of_the_fit_it_comes_from() -> None:
    model = made_up_model()
    rng = np.random.default_rng(5)
    y, x = np.indices((33, 33)) - 16
    bell = np.exp(-0.5 * (y**2 + x**2) / model.columns.sigma_px**2)
    inside = np.hypot(y, x) <= 2 * model.columns.sigma_px
    noise = rng.normal(size=(4000, 33, 33)) * 0.02
    fitted = (noise * bell)[:, inside].sum(axis=1) / np.square(bell[inside]).sum() / 0.5
    even = replace(model, patch_errors=np.full_like(model.patch_errors, 0.02))

    assert ratio_error(even, 2) == pytest.approx(fitted.std(), rel=0.05)


def test_a_model_is_shown_once_for_all_of_its_frames(tmp_path: Path) -> None:
    read = written(tmp_path / "out.html", n_frames=3)

    assert sum(attrs.get("class") == "model" for attrs in read.all_of("section")) == 1
    assert sum(attrs.get("class") == "frame" for attrs in read.all_of("section")) == 3


def test_two_models_have_classes_of_their_own(tmp_path: Path) -> None:
    page = MotifPage(tmp_path / "out.html")
    for model in (made_up_model(), made_up_model()):
        image, sites = made_up_frame(model, side_px=256)
        event = made_up_event(sites, (256, 256))
        page.add(event, image, name="a.tif", index=None, sites=sites)
    page.write()

    keys = {a["data-k"] for _, a in Page((tmp_path / "out.html").read_text()).tags if "data-k" in a}
    assert {"m0k1", "m1k1"} <= keys


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


def test_what_is_not_calibrated_has_no_nanometres(tmp_path: Path) -> None:
    model = made_up_model()
    image, sites = made_up_frame(model, side_px=256)
    event = made_up_event(sites, (256, 256), nm=False)
    page = MotifPage(tmp_path / "out.html")
    page.add(event, image, name="a.tif", index=None, sites=sites)
    page.write()

    read = Page((tmp_path / "out.html").read_text())
    assert "nm" not in read.tables["defects"][0]
    assert "places are in pixels only" in read.text


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
