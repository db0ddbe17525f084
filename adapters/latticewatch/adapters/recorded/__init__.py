"""Recorded frames from files as sources."""

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded.pixels import conversion_attrs, wire_pixels
from latticewatch.adapters.recorded.recording import Recording, WireFrame
from latticewatch.adapters.recorded.registry import expand_inputs, open_recording

__all__ = [
    "InputError",
    "Recording",
    "WireFrame",
    "conversion_attrs",
    "expand_inputs",
    "open_recording",
    "wire_pixels",
]
