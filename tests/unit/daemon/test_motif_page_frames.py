"""Frames on the page of motifs: marks, counts, defects, and why there are none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET
from msgspec.structs import replace as replaced

from latticewatch.daemon.motif_page import MotifPage
from latticewatch.wire.motifs import MotifChange
from latticewatch.wire.words import DetectorCondition
from support.golden_events import event_messages
from support.motif_pages import Page
from support.motif_sites import (
    HOSTILE,
    made_up_event,
    made_up_frame,
    made_up_model,
)

for _needed in ("jinja2", "matplotlib"):
    pytest.importorskip(_needed, reason="a report needs the io extra", exc_type=ImportError)


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


def test_outlines_have_no_class_and_are_not_counted_as_unscored(tmp_path: Path) -> None:
    model = made_up_model()
    image, sites = made_up_frame(model, side_px=256)
    points = made_up_event(sites, (256, 256))
    outlines = tuple(
        one
        for message in event_messages().values()
        for one in message.defects
        if one.outline_px_yx is not UNSET
    )
    assert outlines
    event = replaced(points, defects=(*points.defects, *outlines))
    page = MotifPage(tmp_path / "out.html")
    page.add(event, image, name="a.tif", index=None, sites=sites)
    page.write()

    read = Page((tmp_path / "out.html").read_text())
    counts = {row[1]: int(row[4]) for row in read.tables["counts"][1:]}
    assert counts["not scored"] == 0
    assert sum(counts.values()) == len(points.defects)
    assert len(read.tables["defects"][1:]) == len(event.defects)
