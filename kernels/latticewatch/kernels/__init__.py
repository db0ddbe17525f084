"""Arithmetic on arrays: no file, socket, clock or setting is known here."""
