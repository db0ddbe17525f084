"""Residual against the distortion-locked mean cell: not built yet."""
