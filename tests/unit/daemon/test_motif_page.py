"""The page of motifs: what stands in it, and that nothing else is let in."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latticewatch.daemon.motif_page import MotifPage
from latticewatch.daemon.motif_page_classes import ratio_error
from support.motif_pages import Page, written
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
