"""Motif classes that name a defect: not built yet."""
