"""How strange is this place? Arrays in, scores out; no messages, no sockets."""
