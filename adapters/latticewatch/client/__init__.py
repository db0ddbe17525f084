"""What a scan-control computer imports: pyzmq and msgpack, nothing else of ours."""

from latticewatch.client.asynchronous import AsyncDefectClient
from latticewatch.client.decoding import decode
from latticewatch.client.errors import (
    BadMessage,
    ClientClosed,
    ClientError,
    DaemonLost,
    ReceiveTimeout,
    UnsupportedVersion,
)
from latticewatch.client.inbox import Gap, Inbox
from latticewatch.client.messages import (
    Defect,
    DefectEvent,
    Heartbeat,
    Message,
    Motif,
    MotifChange,
    Preview,
    Status,
)
from latticewatch.client.previews import PreviewClient
from latticewatch.client.stream import DefectClient

__all__ = [
    "AsyncDefectClient",
    "BadMessage",
    "ClientClosed",
    "ClientError",
    "DaemonLost",
    "Defect",
    "DefectClient",
    "DefectEvent",
    "Gap",
    "Heartbeat",
    "Inbox",
    "Message",
    "Motif",
    "MotifChange",
    "Preview",
    "PreviewClient",
    "ReceiveTimeout",
    "Status",
    "UnsupportedVersion",
    "decode",
]
