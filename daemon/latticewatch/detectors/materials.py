"""Plane nets of materials that are often looked at, by name.

At room temperature, along the zone axis that is usual for the material: the layers of 2H crystals
and graphene face on, perovskites along [001]. Strain, temperature and doping change them by parts
of a per cent. Sources, lattice constant a:

- graphene, 246.4(2) pm of graphite: Trucano & Chen, Nature 258, 136 (1975)
- MoS2, 316.0 pm: Wilson & Yoffe, Adv. Phys. 18, 193 (1969)
- WS2, 315.3 pm, WSe2, 328.2 pm: Schutte, de Boer & Jellinek, J. Solid State Chem. 70, 207 (1987)
- MoTe2, 351.8 pm: Puotinen & Newnham, Acta Cryst. 14, 691 (1961)
- SrTiO3, 390.5 pm: Okazaki & Kawaminami, Mater. Res. Bull. 8, 545 (1973)
"""

from latticewatch.detectors.pixel_size import PlaneNet

MATERIALS = {
    "graphene": PlaneNet(246.4, 246.4, 120.0),
    "MoS2": PlaneNet(316.0, 316.0, 120.0),
    "WS2": PlaneNet(315.3, 315.3, 120.0),
    "WSe2": PlaneNet(328.2, 328.2, 120.0),
    "MoTe2": PlaneNet(351.8, 351.8, 120.0),
    "SrTiO3": PlaneNet(390.5, 390.5, 90.0),
}


def known_name(name: str) -> str | None:
    """Return the name as the table has it, whatever its capitals; None where it is not there.

    Examples
    --------
    >>> known_name("mos2"), known_name("unobtainium")
    ('MoS2', None)
    """
    return next((known for known in MATERIALS if known.lower() == name.lower()), None)
