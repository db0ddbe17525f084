"""What can go wrong for a client, one exception per culprit.

The names say what happened, not `Error`: a caller reads `except DaemonLost`.
"""


class ClientError(Exception):
    """Anything below."""


class ReceiveTimeout(ClientError, TimeoutError):  # noqa: N818
    """Nobody's fault: what was asked for did not come within `timeout_s`."""


class DaemonLost(ClientError, ConnectionError):  # noqa: N818
    """The daemon: nothing at all came for the time of three heartbeats.

    It hangs, has ended, or cannot be reached. The client stays connected: the next call waits
    again and goes on by itself once the daemon is back.
    """


class UnsupportedVersion(ClientError):  # noqa: N818
    """The installation: the daemon speaks another version of the protocol than this client."""


class BadMessage(ClientError):  # noqa: N818
    """The daemon: a message could not be read. Counted while receiving, never raised there."""


class ClientClosed(ClientError):  # noqa: N818
    """The caller: the client was closed before."""
