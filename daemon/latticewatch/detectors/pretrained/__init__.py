"""Models that ship with latticewatch; MODELS.md says how each was made."""

# Name of the file without its suffix, and the crystal in words.
MODELS = {"mos2": "monolayer MoS2 of the demo: 0.0131 nm pixels, turned by 11 degrees"}
