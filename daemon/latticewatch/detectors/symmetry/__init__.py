"""Symmetry maps of extended defects: not built yet."""
