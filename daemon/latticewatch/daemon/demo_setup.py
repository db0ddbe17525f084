"""What the demo prepares: its settings, the model, the daemon's settings file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.choosing import DETECTORS, chosen_detectors
from latticewatch.daemon.fitting import FitProcess
from latticewatch.daemon.models import MODEL_SUFFIX, pretrained_models
from latticewatch.daemon.processes import run_simulator
from latticewatch.daemon.reference_frames import gather_frames

DEMO_SOURCE = "demo"
_FAST = {"reference_cell", "patterson"}  # those that a late detector can follow
_LATE = {"vae", "symmetry"}
CRYSTALS = ("mos2", "srtio3", "zincblende")  # of the simulator, which this package may not import
N_REFERENCE_FRAMES = 4
# Another crystal of the same kind than the one that is judged: same seed would be cheating.
REFERENCE_SEED_STEP = 1000
MOST_DEFECTS = 1024  # the protocol's limit, so that nothing found is cut off from the judgement


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the user chose.

    Attributes
    ----------
    size_yx
        Frame in px.
    fps
        Frames per second.
    crystal, dose, seed
        Of the simulator; a dose of None is the crystal's own.
    seconds
        Length of the demo; None until Ctrl-C.
    detectors
        Who looks; None leaves it to the daemon's defaults.
    """

    size_yx: tuple[int, int] = (512, 512)
    fps: float = 30.0
    crystal: str = "mos2"
    dose: float | None = None
    seconds: float | None = None
    seed: int = 1
    detectors: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a crystal that the simulator does not know, before anything starts.

        Raises
        ------
        InputError
            It is none of `CRYSTALS`.
        """
        if self.crystal not in CRYSTALS:
            raise InputError(f"--crystal {self.crystal}: expected one of {', '.join(CRYSTALS)}")

    @property
    def title(self) -> str:
        """One line for people."""
        dose = "" if self.dose is None else f", {self.dose:g} e/A^2"
        height, width = self.size_yx
        return f"{self.crystal} {height} x {width}, {self.fps:g} frames/s{dose}"


def parse_size(text: str) -> tuple[int, int]:
    """Rows and columns from "N" or "HxW".

    Raises
    ------
    InputError
        It is neither.

    Examples
    --------
    >>> parse_size("512"), parse_size("256x384")
    ((512, 512), (256, 384))
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise InputError(f"--size {text}: expected N or HxW, in px")
    return int(sides[0]), int(sides[-1])


def parse_detectors(text: str | None) -> tuple[str, ...] | None:
    """Names of who looks, from text with commas between; None stays None.

    Raises
    ------
    InputError
        A name is unknown, or nobody would look for points.
    """
    try:
        return None if text is None else tuple(chosen_detectors(text))
    except ValueError as error:
        raise InputError(f"--detectors {error}") from error


def crystal_arguments(settings: DemoSettings, *, seed: int) -> list[str]:
    """Options of the simulator that say what it shows."""
    height, width = settings.size_yx
    chosen = ["--crystal", settings.crystal, "--size", f"{height}x{width}", "--seed", str(seed)]
    return chosen if settings.dose is None else [*chosen, "--dose", str(settings.dose)]


def sending_arguments(settings: DemoSettings, *, endpoint: str) -> list[str]:
    """Options of the simulator that sends to the daemon, truth included."""
    chosen = crystal_arguments(settings, seed=settings.seed)
    chosen += ["--fps", str(settings.fps), "--endpoint", endpoint, "--source", DEMO_SOURCE]
    chosen += ["--truth", "--json"]
    if settings.seconds is not None:
        chosen += ["--seconds", str(settings.seconds)]
    return chosen


def choose_models(settings: DemoSettings, folder: Path) -> dict[str, str]:
    """Name the model of each detector that looks and asks for one.

    That of scheme one is fitted now where a dose was chosen, for a shipped one holds for the dose
    that it was made at. Those of the autoencoder and of the symmetry maps are the shipped ones at
    any dose: beyond a factor of two or so they say themselves that they are stale. Symmetry maps
    of a crystal of which none is shipped are fitted now.
    """
    asked = ("patterson",) if settings.detectors is None else settings.detectors
    models = {"vae": f"pretrained:{settings.crystal}-vae"} if "vae" in asked else {}
    if "patterson" in asked:
        is_shipped = settings.dose is None and settings.crystal in pretrained_models()
        shipped = f"pretrained:{settings.crystal}"
        models["patterson"] = shipped if is_shipped else _fitted("patterson", settings, folder)
    if "symmetry" in asked:
        name = f"{settings.crystal}-symmetry"
        is_shipped = name in pretrained_models()
        shipped = f"pretrained:{name}"
        models["symmetry"] = shipped if is_shipped else _fitted("symmetry", settings, folder)
    if "motifs" in asked:
        # Its classes are those of a dose, too.
        name = f"{settings.crystal}-motifs"
        is_shipped = settings.dose is None and name in pretrained_models()
        models["motifs"] = (
            f"pretrained:{name}" if is_shipped else _fitted("motifs", settings, folder)
        )
    return models


def _fitted(detector: str, settings: DemoSettings, folder: Path) -> str:
    """Fit a model to a few frames of the crystal, and name its file."""
    frames, model = folder / "reference.npz", folder / f"{detector}{MODEL_SUFFIX}"
    run_simulator(
        [
            *crystal_arguments(settings, seed=settings.seed + REFERENCE_SEED_STEP),
            *("--frames", str(N_REFERENCE_FRAMES), "--save", str(frames)),
        ]
    )
    with FitProcess() as fitter:
        fitter.fit(gather_frames([frames]), out=model, detector=detector)
    return str(model)


def looks_late(settings: DemoSettings) -> bool:
    """Tell whether a detector answers in an event of its own."""
    asked = set(settings.detectors or ())
    return bool(_LATE & asked) and bool(_FAST & asked)


def write_config(
    models: Mapping[str, str], folder: Path, detectors: Sequence[str] | None = None
) -> Path:
    """Write the daemon's settings: free ports, and the truth comes back in the events.

    Parameters
    ----------
    models
        Of detectors, by name; of others the default.
    detectors
        Who looks, and nobody else; None for the default.
    """
    path = folder / "demo.toml"
    path.write_text(
        f"""\
[source]
name = "{DEMO_SOURCE}"

[ingest]
endpoint = "tcp://127.0.0.1:*"
clock_synchronised = true

[events]
endpoint = "tcp://127.0.0.1:*"
copy_attrs = true
max_defects = {MOST_DEFECTS}

[http]
port = 0
{_detector_tables(models, detectors)}"""
    )
    return path


def _detector_tables(models: Mapping[str, str], detectors: Sequence[str] | None) -> str:
    lines: dict[str, list[str]] = {name: [] for name in DETECTORS}
    if detectors is not None:
        for name in DETECTORS:
            lines[name].append(f"enabled = {'true' if name in detectors else 'false'}")
        if not _FAST & set(detectors):
            for name in _LATE:
                lines[name].append("late = false")  # it has nobody to follow
    for name, model in models.items():
        lines[name].append(f'model = "{model}"')
    tables = [["", f"[detectors.{name}]", *of_one, ""] for name, of_one in lines.items() if of_one]
    return "".join("\n".join(table) for table in tables)
