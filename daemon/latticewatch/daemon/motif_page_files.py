"""Files of the page of motifs: where it may be written, and the templates that it is made of."""

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latticewatch.adapters.errors import InputError

if TYPE_CHECKING:
    from jinja2 import Environment


def check_report(path: Path, *, inputs: Sequence[Path], out: Path | None) -> None:
    """See that a page can be made and written before the work is done.

    Raises
    ------
    InputError
        A library is missing, the name is one of the others, or it cannot be written there.
    """
    try:
        import jinja2 as jinja2
        import matplotlib as matplotlib
    except ImportError as error:
        raise InputError(f'a report needs {error.name}: pip install "latticewatch[io]"') from None
    if str(path) == "-":
        raise InputError("--report -: name a file, as out.html: a page is no stream")
    for other, what in [*((one, "an input") for one in inputs), (out, "the file of --out")]:
        if other is not None and _same_file(path, other):
            raise InputError(f"{path}: is {what}: name another file for the report")
    if path.is_dir():
        raise InputError(f"{path}: is a folder: name a file in it, as {path / 'report.html'}")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: make it, or write {path.name} elsewhere")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InputError(f"{path}: cannot be written: name another file for the report")


def _same_file(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def environment() -> "Environment":
    """Make what fills the templates; whatever goes into them is text, not markup."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("latticewatch.daemon", "templates"),
        # Names of classes and files come from users.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def text_of(name: str) -> str:
    """Read a file that lies beside the templates."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def digest_of(text: str) -> str:
    """Digest as a content security policy names what may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
