from latticewatch.daemon.config import ComputeSettings
from latticewatch.daemon.doctor import check_threads


def test_threads_are_told_as_numbers() -> None:
    found = {check.subject: check.found for check in check_threads(ComputeSettings())}

    used, _, available = found["numba threads"].removesuffix(" used").partition(" of ")
    assert int(used) == ComputeSettings().threads
    assert int(available) >= 1
