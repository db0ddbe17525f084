"""The page of `analyze --report` in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from latticewatch.daemon.motif_page import MotifPage
from latticewatch.wire.events import DefectEvent
from support.browser import browser, open_page, requests_of, told_by
from support.motif_sites import HOSTILE, made_up_event, made_up_frame, made_up_model, renamed

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

for _needed in ("jinja2", "matplotlib"):
    pytest.importorskip(_needed, reason="a report needs the io extra", exc_type=ImportError)

pytestmark = pytest.mark.system

WIDTHS_PX = (360, 768, 1280, 1920)


@pytest.fixture(scope="module")
def opened() -> Iterator["Chrome"]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def event() -> DefectEvent:
    _, sites = made_up_frame(made_up_model())
    return made_up_event(sites, (512, 512))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, event: DefectEvent) -> Path:
    path = tmp_path_factory.mktemp("page") / "out.html"
    written = MotifPage(path)
    model = renamed(made_up_model(), 5, HOSTILE)
    for index in range(2):
        image, sites = made_up_frame(model)
        written.add(event, image, name="made-up.tif", index=index, sites=sites)
    written.write()
    return path


def many(opened: "Chrome", selector: str) -> "list[WebElement]":
    found: list[WebElement] = opened.find_elements("css selector", selector)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_the_page_opens_without_a_complaint(
    width_px: int, scheme: str, opened: "Chrome", page: Path
) -> None:
    told_by(opened)

    open_page(opened, page, width_px=width_px, scheme=scheme)

    assert told_by(opened) == []
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width_px


def test_nothing_but_the_file_is_asked_for(opened: "Chrome", page: Path) -> None:
    requests_of(opened)

    open_page(opened, page)

    asked = [url for url in requests_of(opened) if not url.startswith("data:")]
    assert asked == [page.as_uri()]


def test_the_policy_stops_what_would_be_loaded(opened: "Chrome", page: Path) -> None:
    open_page(opened, page)
    requests_of(opened)

    opened.execute_script(
        "const one = new Image(); one.src = 'http://127.0.0.1:9/x.png'; document.body.append(one);"
    )

    assert "Content Security Policy" in " ".join(told_by(opened))


def test_every_picture_is_drawn(opened: "Chrome", page: Path) -> None:
    open_page(opened, page)

    sides = opened.execute_script(
        "return [...document.images].map(one => [one.naturalWidth, one.naturalHeight])"
    )
    assert len(sides) == 2 + 2 * 7 + 2  # frames, averages with their errors, scales
    assert all(width > 0 and height > 0 for width, height in sides)


def test_the_table_lists_what_the_event_lists(
    opened: "Chrome", page: Path, event: DefectEvent
) -> None:
    open_page(opened, page)

    rows = many(opened, "#f0 .defects tbody tr")
    assert [int(row.find_element("css selector", "td").text) for row in rows] == [
        defect.i for defect in event.defects
    ]


def test_a_hostile_name_is_seen_as_text(opened: "Chrome", page: Path) -> None:
    open_page(opened, page)

    names = [one.text for one in many(opened, ".classes td.name")]
    assert any(name.startswith(HOSTILE) for name in names)


def test_pointing_at_a_class_shows_its_sites_and_hides_the_others(
    opened: "Chrome", page: Path
) -> None:
    from selenium.webdriver import ActionChains

    open_page(opened, page)
    row = many(opened, ".classes tr[data-k=m0k3]")[0]

    ActionChains(opened).move_to_element(row).perform()

    lit = many(opened, "svg .lit")
    assert lit
    assert {one.get_attribute("data-k") for one in lit} == {"m0k3"}
    dimmed = many(opened, "#f0 svg [data-k=m0k4]")[0]
    assert float(dimmed.value_of_css_property("opacity")) < 0.5

    ActionChains(opened).move_to_element(many(opened, "h1")[0]).perform()
    assert many(opened, ".lit") == []


def test_a_number_leads_to_the_mark_and_the_mark_to_its_row(opened: "Chrome", page: Path) -> None:
    open_page(opened, page)

    many(opened, "#f0d2 a")[0].click()
    assert many(opened, ":target")[0].get_attribute("id") == "f0m2"

    opened.execute_script(
        "document.querySelector('#f0m2').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert many(opened, ":target")[0].get_attribute("id") == "f0d2"


def test_marks_lie_on_their_sites(opened: "Chrome", page: Path, event: DefectEvent) -> None:
    open_page(opened, page)

    middle, box = opened.execute_script(
        "const mid = r => [r.y + r.height / 2, r.x + r.width / 2];"
        "const box = document.querySelector('#f0 .stack img').getBoundingClientRect();"
        "const mark = document.querySelector('#f0m0 .line').getBoundingClientRect();"
        "return [mid(mark), [box.y, box.x, box.height, box.width]]"
    )
    y_px, x_px = ((at + 0.5) / 512 for at in event.defects[0].pixel_yx)
    assert middle[0] == pytest.approx(box[0] + y_px * box[2], abs=2)
    assert middle[1] == pytest.approx(box[1] + x_px * box[3], abs=2)
