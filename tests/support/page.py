"""The page that the scripts of `tests/accuracy` write their tables into."""

from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "accuracy" / "README.md"


def put(head: str, rows: str) -> None:
    """Write a table into the page in place of the one with the same head.

    Parameters
    ----------
    head
        Its first two lines.
    rows
        The others.

    Raises
    ------
    ValueError
        The page has no such table: where it goes, and what is said of it, is for a person.
    """
    page = PAGE.read_text(encoding="utf-8")
    if head not in page:
        raise ValueError(f"{PAGE} has no table with the head {head.partition(chr(10))[0]}")
    before, _, old = page.partition(head)
    _, blank, later = old.partition("\n\n")
    PAGE.write_text(f"{before}{head}{rows}{blank[1:]}{later}", encoding="utf-8")
