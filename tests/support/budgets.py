"""What a kernel costs, and whether that is within its budget."""

import time
from collections.abc import Callable
from typing import Any


def fastest_ms(run: Callable[[], Any]) -> float:  # Any: nobody looks at the result
    """Time the fastest of some calls, in CPU time of this thread, after one that compiles."""
    run()
    times_ns = []
    for _ in range(15):
        start_ns = time.thread_time_ns()
        run()
        times_ns.append(time.thread_time_ns() - start_ns)
    return min(times_ns) / 1e6


def check(name: str, budget_ms: float, run: Callable[[], Any]) -> None:  # Any: as above
    took_ms = fastest_ms(run)
    print(f"{name}: {took_ms:.2f} ms of {budget_ms} ms")  # noqa: T201 - the figures are the point
    assert took_ms < budget_ms
