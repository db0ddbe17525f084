"""What the documents promise exists: commands, options, links, code, shipped models."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from latticewatch.daemon.cli import app
from latticewatch.daemon.config_detect import MotifsSettings
from latticewatch.daemon.models import (
    load_motifs,
    load_patterson,
    load_symmetry,
    load_vae,
    pretrained_models,
)

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", ".pytest_cache", ".hypothesis"} & set(path.relative_to(ROOT).parts)
)


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def _commands(page: Path) -> list[list[str]]:
    """Every `latticewatch ...` line of the page's plain code blocks, comments cut off."""
    lines = [line for block in _blocks(page, "") for line in block.splitlines()]
    return [
        shlex.split(line, comments=True)[1:]
        for line in lines
        if re.match(r"latticewatch [a-z]+( |$)", line) and "  mos2 512" not in line
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("words", _commands(ROOT / "README.md"), ids=" ".join)
def test_commands_of_the_readme_exist_with_their_options(words: list[str]) -> None:
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    known = {name for parameter in command.params for name in parameter.opts}
    passes_on = command.context_settings.get("ignore_unknown_options", False)
    options = [word for word in words if word.startswith("--")]
    assert passes_on or set(options) <= known


def test_readme_shows_commands() -> None:
    assert len(_commands(ROOT / "README.md")) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_documents_compiles(page: Path) -> None:
    for block in _blocks(page, "python"):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("name", sorted(pretrained_models()))
def test_every_shipped_model_loads_and_has_a_card(name: str) -> None:
    folder = ROOT / "daemon/latticewatch/detectors/pretrained"
    card = (folder / "MODELS.md").read_text()
    known = f"pretrained:{name}"
    if name.endswith("-vae"):
        assert load_vae(known).sha256
    elif name.endswith("-motifs"):
        assert load_motifs(MotifsSettings(model=known)).sha256
    elif name.endswith("-symmetry"):
        assert load_symmetry(known).sha256
    else:
        assert load_patterson(known).sha256
    assert f"| {name} |" in card


def test_no_model_ships_unnamed() -> None:
    folder = ROOT / "daemon/latticewatch/detectors/pretrained"
    assert {path.stem for path in folder.glob("*.model")} == set(pretrained_models())
