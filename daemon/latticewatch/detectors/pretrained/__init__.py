"""Models that ship with latticewatch; MODELS.md says how each was made."""

# Name of the file without its suffix, and the crystal in words.
MODELS = {
    "mos2": "monolayer MoS2 of the simulator, a = 24.1 px, turned by 11 degrees",
    "srtio3": "SrTiO3 [001] of the simulator, a = 29.8 px, turned by 11 degrees",
    "zincblende": "zinc blende [110] of the simulator, 30.3 px, turned by 11 degrees",
    "mos2-vae": "the same MoS2, for the autoencoder",
    "srtio3-vae": "the same SrTiO3, for the autoencoder",
    "zincblende-vae": "the same zinc blende, for the autoencoder",
    "mos2-symmetry": "the same MoS2, for the symmetry maps",
    "srtio3-symmetry": "the same SrTiO3, for the symmetry maps",
    "zincblende-symmetry": "the same zinc blende, for the symmetry maps",
    "mos2-motifs": "the same MoS2, kinds of sites for the motifs",
    "srtio3-motifs": "the same SrTiO3, kinds of sites for the motifs",
    "zincblende-motifs": "the same zinc blende, kinds of sites for the motifs",
}
