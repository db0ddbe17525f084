"""A page that is a client like any other: not built yet."""
