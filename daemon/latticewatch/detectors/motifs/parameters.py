"""Numbers of the motifs: which patch, which features, and how classes are found."""

from dataclasses import dataclass
from typing import Literal

Route = Literal["auto", "density", "layout"]
ROUTES: tuple[Route, ...] = ("auto", "density", "layout")
POLARITIES = ("auto", "bright", "dark")


@dataclass(frozen=True, slots=True)
class MotifParameters:
    """Settings of a fit.

    Attributes
    ----------
    n_max
        Highest radial order: 66 terms, of which a turn leaves 36 numbers.
    radius_of_nearest
        Radius of a patch over the distance of nearest columns. At 1.2 to 1.35 the first shell is
        in it (motifs.md 5.2).
    widths_to_second
        So many column widths before the second shell the patch ends at the latest. At 1.5, as in
        motifs.md 5.2, tails of that shell reach in, and sites two columns from a defect are kinds
        of their own; at 2.5 they are not, and nothing else is lost on drawn crystals.
    components
        Directions kept for each species of columns, beside what tells species apart and what an
        absent column changes.
    min_cluster_size
        Sites of the smallest cluster of density.
    route
        How classes are proposed: from density, from the relaxed layout, or as the noise wants.
    merge_distance
        Deviations within which pieces of a layout are one class.
    seed
        Of the layout and of the choice among too many sites.
    most_sites
        Of which classes are made; of more, those far from ordinary and as many ordinary ones.
    polarity
        Whether columns are "bright" or "dark"; "auto": as each frame itself says.
    """

    n_max: int = 10
    radius_of_nearest: float = 1.33
    widths_to_second: float = 2.5
    components: int = 3
    min_cluster_size: int = 5
    route: Route = "auto"
    merge_distance: float = 4.0
    seed: int = 48
    most_sites: int = 12_000
    polarity: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what makes no sense, all of it at once, as ValueError."""
        ranges = {
            "n_max": 2 <= self.n_max <= 20,
            "radius_of_nearest": 1.0 <= self.radius_of_nearest <= 3.0,
            "widths_to_second": 0.0 <= self.widths_to_second <= 5.0,
            "components": 2 <= self.components <= 20,
            "min_cluster_size": 2 <= self.min_cluster_size <= 1000,
            "route": self.route in ROUTES,
            "merge_distance": 0.0 < self.merge_distance <= 100.0,
            "seed": 0 <= self.seed < 2**31,
            "most_sites": 100 <= self.most_sites <= 100_000,
            "polarity": self.polarity in POLARITIES,
        }
        wrong = [f"{name} = {getattr(self, name)}" for name, good in ranges.items() if not good]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
