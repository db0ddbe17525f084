"""The command line of the simulator: options to settings."""

import argparse
import re
from dataclasses import fields
from math import ceil
from pathlib import Path

from latticewatch.simulator.crystal import CRYSTALS
from latticewatch.simulator.settings import MicroscopeSettings, SimulatorError
from latticewatch.wire.frames import SOURCE_PATTERN

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5610"
DEFAULT_SOURCE = "simulator"

# Option, setting, type, unit and meaning.
_SPECIMEN: tuple[tuple[str, str, type, str], ...] = (
    ("--dose", "dose_e_per_ang2", float, "electrons per square angstrom and frame"),
    ("--pixel-size-nm", "pixel_size_nm", float, "side of a pixel"),
    ("--rotation-deg", "rotation_deg", float, "turn of the crystal, clockwise"),
    ("--scan-rotation-deg", "scan_rotation_deg", float, "turn of the scan, told in the header"),
    ("--probe-width", "probe_sigma_ang", float, "sigma of a column's image, angstrom"),
    ("--background", "background", float, "level between columns, part of the brightest peak"),
    ("--disorder-pm", "disorder_pm", float, "static offset of every column, rms per axis"),
    ("--jitter-px", "jitter_px", float, "sideways shift of every row, rms"),
    ("--drift-nm-s", "drift_nm_s", float, "speed of the specimen"),
    ("--gain-change", "gain_change_percent", float, "slow change of the gain, per cent"),
    ("--seed", "seed", int, "everything random follows from it"),
    ("--vacancies", "vacancies", int, "empty columns in view"),
    ("--substitutions", "substitutions", int, "columns with a heavier atom in view"),
    ("--displaced", "displaced", int, "shifted columns in view"),
    ("--deficits", "deficits", int, "columns that lack half their atoms in view: subtle"),
)


def make_parser(prog: str = "python -m latticewatch.simulator") -> argparse.ArgumentParser:
    """Build the parser; `prog` is what the user typed to get here."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="A microscope whose defects are known: sends frames, or saves them.",
    )
    specimen = parser.add_argument_group("specimen and microscope")
    specimen.add_argument("--crystal", choices=sorted(CRYSTALS), default="mos2")
    specimen.add_argument("--size", default="512", help="rows and columns, px: 512 or 256x512")
    defaults = {field.name: field.default for field in fields(MicroscopeSettings)}
    for option, name, kind, meaning in _SPECIMEN:
        default = defaults[name]
        by_nature = "by the crystal" if name == "dose_e_per_ang2" else "1 % of all columns, in all"
        shown = by_nature if default is None else f"{default:g}"
        specimen.add_argument(
            option,
            dest=name,
            type=kind,
            default=default,
            help=f"{meaning} ({shown})".replace("%", "%%"),
        )
    specimen.add_argument("--perfect", action="store_true", help="no defects")
    _add_sending(parser)
    parser.add_argument(
        "--save", type=Path, metavar="PATH", help="write .npy or .npz, send nothing"
    )
    parser.add_argument("--json", action="store_true", help="a summary as the last line of stdout")
    return parser


def _add_sending(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sending")
    group.add_argument("--fps", type=float, default=30.0, help="frames per second (30)")
    length = group.add_mutually_exclusive_group()
    length.add_argument("--frames", type=int, help="stop after so many (until told to stop)")
    length.add_argument("--seconds", type=float, help="stop after so long")
    group.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help=f"({DEFAULT_ENDPOINT})")
    group.add_argument("--source", default=DEFAULT_SOURCE, help=f"its name ({DEFAULT_SOURCE})")
    group.add_argument("--mode", choices=("live", "lossless"), default="live")
    group.add_argument(
        "--wait-s", type=float, default=2.0, help="wait so long for a daemon before frame 0 (2)"
    )
    group.add_argument(
        "--truth", action="store_true", help="tell the defects in the header's attrs"
    )
    group.add_argument(
        "--images", type=Path, nargs="+", metavar="PATH", help="send these files or folders instead"
    )
    group.add_argument("--loop", action="store_true", help="begin again after the last image")


def microscope_settings(options: argparse.Namespace) -> MicroscopeSettings:
    """Collect the settings of the microscope.

    Raises
    ------
    SimulatorError
        One of them is out of range; one line says which.
    """
    given = {name: getattr(options, name) for _, name, _, _ in _SPECIMEN}
    return MicroscopeSettings(
        crystal=options.crystal,
        shape_yx=parse_size(options.size),
        fps=options.fps,
        perfect=options.perfect,
        **given,
    )


def parse_size(text: str) -> tuple[int, int]:
    """Read "512" or "256x512" as rows and columns.

    >>> parse_size("256x512")
    (256, 512)
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise SimulatorError(f"size = {text}: must be a number of px, or ROWSxCOLUMNS")
    return int(parts[0]), int(parts[-1])


def source_name(options: argparse.Namespace) -> str:
    """Give the name to send under; a bad one is found here, before anything waits for a daemon."""
    name: str = options.source
    if not re.fullmatch(SOURCE_PATTERN, name):
        raise SimulatorError(f"source = {name}: must be a name like {SOURCE_PATTERN}")
    return name


def number_of_frames(options: argparse.Namespace) -> int | None:
    """Give how many frames were asked for; None is without end."""
    for name in ("frames", "seconds", "fps"):
        value = getattr(options, name)
        if value is not None and not 0.0 < value < 1e12:
            raise SimulatorError(f"{name} = {value}: must be positive")
    if options.seconds is not None:
        n_periods: float = options.seconds * options.fps
        return ceil(n_periods)
    n_frames: int | None = options.frames
    return n_frames
