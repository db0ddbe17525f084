"""Recorded frames from files as sources."""
