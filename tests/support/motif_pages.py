"""The page of motifs as a browser would read it, and pages of made-up frames."""

from html.parser import HTMLParser
from pathlib import Path

from latticewatch.daemon.motif_page import MotifPage
from latticewatch.detectors.motifs.model import MotifModel
from support.motif_sites import made_up_event, made_up_frame, made_up_model

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
    """Write the page of some frames and read it."""
    page = MotifPage(path)
    model = model or made_up_model()
    for index in range(n_frames):
        image, sites = made_up_frame(model, side_px=256)
        event = made_up_event(sites, (256, 256))
        page.add(event, image, name="a.tif", index=index, sites=sites if named else None)
    page.write()
    return Page(path.read_text(encoding="utf-8"))
