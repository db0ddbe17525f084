"""What can go wrong between a file or socket and us, each named after who has to act."""


class EndpointError(ValueError):
    """An address that this version will not use, or that does not exist: the operator's to mend."""


class PortInUseError(OSError):
    """Another program holds the address. The daemon exits with code 75."""


class SenderBlockedError(TimeoutError):
    """A lossless sender waited in vain: its peer is gone or far too slow."""


class InputError(ValueError):
    """A file that cannot be read as frames, said in one line with its path."""
