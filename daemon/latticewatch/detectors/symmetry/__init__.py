"""Symmetry maps: how far the local texture is from the perfect crystal of this very frame."""
