"""Typed messages of protocol version 1: bytes in, values out; no sockets."""
