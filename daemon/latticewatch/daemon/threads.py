"""The daemon's own threads: named, and the death of one is everybody's."""

import threading
import traceback
from collections.abc import Callable

__all__ = ["Threads"]


class Threads:
    """Starts threads, notices the first one that dies of an error, and waits for their end.

    The threads do not keep the process alive: a hung one must not outlast the five seconds in
    which the daemon promises to stop.
    """

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._failure: str | None = None
        self._failed = threading.Event()

    @property
    def failure(self) -> str | None:
        """Name and traceback of the first thread that died of an error."""
        return self._failure

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run `work` in a thread of this name."""
        thread = threading.Thread(target=self._guard, args=(name, work), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def wait_for_failure(self, timeout_s: float) -> bool:
        """Whether a thread has died of an error, now or within the time."""
        return self._failed.wait(timeout_s)

    def join(self, name: str, timeout_s: float) -> bool:
        """Wait for a thread to end; True if it has, or never started."""
        thread = self._threads.get(name)
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _guard(self, name: str, work: Callable[[], None]) -> None:
        # The one place where an error of ours is fatal: the supervisor starts us again.
        try:
            work()
        except BaseException:
            self._failure = self._failure or f"thread {name} died:\n{traceback.format_exc()}"
            self._failed.set()
