"""What can be set on the simulated microscope and its specimen."""

from dataclasses import dataclass
from math import isfinite, pi, radians

from latticewatch.simulator.crystal import CRYSTALS, Crystal
from latticewatch.wire.frames import SIDE_MAX_PX, SIDE_MIN_PX

MAX_EXPECTED_ELECTRONS = 4096.0
"""Above this a 16-bit frame saturates anyway, and exact Poisson counts become slow."""

ANG2_PER_NM2 = 100.0


class SimulatorError(ValueError):
    """The operator asked for something that cannot be simulated; one line says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroscopeSettings:
    """One simulated acquisition; equal settings give bit-equal frames.

    Parameters
    ----------
    crystal
        "mos2", "srtio3" or "zincblende".
    shape_yx
        Rows and columns of a frame, 16 to 8192 each.
    pixel_size_nm
        Side of a pixel. The default gives 24.1 px per lattice vector of MoS2.
    dose_e_per_ang2
        Electrons per square angstrom and frame; None takes the crystal's own.
    probe_sigma_ang
        Standard deviation of a column's image: probe, source size and thermal motion together.
    background
        Level between the columns, as a fraction of the brightest undamaged column's peak.
    disorder_pm
        Static random offset of every column, rms per axis.
    jitter_px
        Random sideways shift of every row, rms, new in each frame.
    drift_nm_s
        Speed of the specimen. It turns back before `scan.DRIFT_RANGE_NM`.
    gain_change_percent
        Amplitude of the slow change of the detector's gain.
    rotation_deg, scan_rotation_deg
        Turn of the crystal in the specimen plane, and of the scan; both clockwise on a screen.
    fps
        Frames per second: the time between frames for drift and gain.
    seed
        Everything random follows from it.
    vacancies, substitutions, displaced
        Number in the field of view; None takes about 1 % of the columns altogether.
    deficits
        Columns that lack half their atoms (one of two S): subtle, so only on request.
    perfect
        No defects at all; the static disorder stays.
    electron_adu, dark_adu
        Detector output per electron, and without any.
    """

    crystal: str = "mos2"
    shape_yx: tuple[int, int] = (512, 512)
    pixel_size_nm: float = 0.0131
    dose_e_per_ang2: float | None = None
    probe_sigma_ang: float = 0.47
    background: float = 0.15
    disorder_pm: float = 4.0
    jitter_px: float = 0.2
    drift_nm_s: float = 0.02
    gain_change_percent: float = 3.0
    rotation_deg: float = 11.0
    scan_rotation_deg: float = 0.0
    fps: float = 30.0
    seed: int = 1
    vacancies: int | None = None
    substitutions: int | None = None
    displaced: int | None = None
    deficits: int = 0
    perfect: bool = False
    electron_adu: float = 40.0
    dark_adu: float = 100.0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, naming the setting, its range and the value."""
        if self.crystal not in CRYSTALS:
            raise SimulatorError(f"crystal = {self.crystal}: must be one of {', '.join(CRYSTALS)}")
        sides_fit = all(SIDE_MIN_PX <= side <= SIDE_MAX_PX for side in self.shape_yx)
        if len(self.shape_yx) != 2 or not sides_fit:
            raise SimulatorError(
                f"size = {self.shape_yx}: each side must be {SIDE_MIN_PX} to {SIDE_MAX_PX} px"
            )
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and low <= value <= high):
                raise SimulatorError(f"{name} = {value}: must be {low:g} to {high:g}")
        if not 1.0 <= self.sigma_px <= 40.0:
            raise SimulatorError(
                f"probe_sigma_ang = {self.probe_sigma_ang:g} at pixel_size_nm = "
                f"{self.pixel_size_nm:g} is {self.sigma_px:.2f} px: must be 1 to 40 px"
            )
        if self.brightest_electrons > MAX_EXPECTED_ELECTRONS:
            raise SimulatorError(
                f"dose_e_per_ang2 = {self.dose:g} puts {self.brightest_electrons:.0f} electrons "
                f"on one pixel: must be at most {MAX_EXPECTED_ELECTRONS:.0f}, lower the dose"
            )

    @property
    def specimen(self) -> Crystal:
        """The crystal that is named."""
        return CRYSTALS[self.crystal]

    @property
    def dose(self) -> float:
        """Electrons per square angstrom and frame."""
        given = self.dose_e_per_ang2
        return self.specimen.dose_e_per_ang2 if given is None else given

    @property
    def sigma_px(self) -> float:
        """Standard deviation of a column's image in pixels."""
        return self.probe_sigma_ang / (10.0 * self.pixel_size_nm)

    @property
    def period_px(self) -> float:
        """Shortest lattice vector in pixels."""
        return self.specimen.period_nm / self.pixel_size_nm

    @property
    def scan_rotation_rad(self) -> float:
        """Turn of the scan in the specimen plane, in the sense of the wire protocol."""
        return radians(self.scan_rotation_deg)

    @property
    def electrons_per_ang2_of_cross_section(self) -> float:
        """Electrons expected at the centre of a column that scatters with 1 square angstrom."""
        # A unit Gaussian peaks at 1 / (2 pi sigma^2); the pixel is small beside the probe.
        pixel_ang2 = self.pixel_size_nm**2 * ANG2_PER_NM2
        return self.dose * pixel_ang2 / (2.0 * pi * self.probe_sigma_ang**2)

    @property
    def background_electrons(self) -> float:
        """Electrons expected on a pixel far from any column."""
        brightest = max(part.cross_section_ang2 for part in self.specimen.sublattices)
        return self.background * brightest * self.electrons_per_ang2_of_cross_section

    @property
    def brightest_electrons(self) -> float:
        """Electrons expected at the centre of the brightest possible column."""
        brightest = max(part.brightest_ang2 for part in self.specimen.sublattices)
        return brightest * self.electrons_per_ang2_of_cross_section + self.background_electrons


# Wide enough for any experiment, narrow enough that a slip of a unit is noticed.
_RANGES = (
    ("pixel_size_nm", 0.0005, 1.0),
    ("dose_e_per_ang2", 1.0, 1e9),
    ("probe_sigma_ang", 0.1, 5.0),
    ("background", 0.0, 10.0),
    ("disorder_pm", 0.0, 100.0),
    ("jitter_px", 0.0, 20.0),
    ("drift_nm_s", 0.0, 10.0),
    ("gain_change_percent", 0.0, 50.0),
    ("rotation_deg", -360.0, 360.0),
    ("scan_rotation_deg", -360.0, 360.0),
    ("fps", 0.01, 10_000.0),
    ("seed", 0, 2**63 - 1),
    ("vacancies", 0, 100_000),
    ("substitutions", 0, 100_000),
    ("displaced", 0, 100_000),
    ("deficits", 0, 100_000),
    ("electron_adu", 0.1, 10_000.0),
    ("dark_adu", 0.0, 60_000.0),
)
