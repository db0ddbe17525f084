"""Programs of ours that run beside a command: started by module name, asked to stop, never left.

The daemon must not import the simulator or the fitting libraries, so it starts them.
"""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from types import TracebackType
from typing import IO, Any, Self, cast

SIMULATOR_MODULE = "latticewatch.simulator"
SIMULATOR_TIMEOUT_S = 120.0  # a few large frames, and compiling the first time
STOP_TIMEOUT_S = 8.0  # the daemon promises to be gone within 5
_ENDED = None  # what the reader puts behind the last line


class CommandError(RuntimeError):
    """A command could not do its work; the message is the one line that the user reads."""


class Child:
    """One process of ours, whose lines on standard output are read as they come.

    Parameters
    ----------
    name
        What messages call it, "the simulator".
    module
        Run as ``python -m MODULE``.
    arguments
        Of its command line.

    Notes
    -----
    It runs in a process group of its own: Ctrl-C reaches the command, which then stops its
    children in the right order. Use it as a context manager; leaving stops it.
    """

    def __init__(self, *, name: str, module: str, arguments: list[str]) -> None:
        self.name = name
        # A file, not a pipe: nobody reads it while all is well, and a full pipe would block.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(  # noqa: S603 - our own modules only
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            process_group=0,
        )
        self._stdin = cast(IO[bytes], self._process.stdin)  # both are pipes, as asked above
        self._stdout = cast(IO[bytes], self._process.stdout)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def send_json(self, value: object) -> None:
        """Write one line of JSON to its standard input."""
        try:
            self._stdin.write(json.dumps(value).encode() + b"\n")
            self._stdin.flush()
        except BrokenPipeError:
            raise CommandError(self.describe_end()) from None

    def receive_json(self, *, timeout_s: float) -> dict[str, Any]:  # Any: JSON
        """Return the next JSON object that it prints on a line; other lines are skipped.

        Raises
        ------
        CommandError
            It ended, or was silent for too long.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(deadline_s - time.monotonic(), 0.0))
            except queue.Empty:
                raise CommandError(
                    f"{self.name} said nothing for {timeout_s:g} s: is this computer overloaded?"
                ) from None
            if line is _ENDED:
                self._lines.put(_ENDED)  # the next call ends here too
                raise CommandError(self.describe_end())
            value = _parse_object(line)
            if value is not None:
                return value

    def check_end(self) -> None:
        """Raise `CommandError` unless it has ended well."""
        if self._process.poll() != 0:
            raise CommandError(self.describe_end())

    def describe_end(self) -> str:
        """Say how it ended, with the last line of its own that explains it."""
        try:
            code = self._process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"{self.name} closed its output and still runs"
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        reason = text.splitlines()[-1] if text else "it said nothing"
        return f"{self.name} {how}: {reason}"

    def ask_to_stop(self) -> None:
        """Send SIGTERM if it still runs, and do not wait."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to stop, insist if it does not, and return its exit code."""
        self.ask_to_stop()
        try:
            code = self._process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join()
        for stream in (self._stdin, self._stdout, self._errors):
            with contextlib.suppress(BrokenPipeError):  # unsent words to a process that is gone
                stream.close()
        return code

    def _read(self) -> None:
        for line in self._stdout:
            self._lines.put(line.decode(errors="replace"))
        self._lines.put(_ENDED)


def run_simulator(arguments: list[str]) -> dict[str, Any]:  # Any: JSON
    """Run the simulator to its end and return the summary that it prints.

    Raises
    ------
    CommandError
        It refused its arguments or broke.
    """
    with Child(
        name="the simulator", module=SIMULATOR_MODULE, arguments=[*arguments, "--json"]
    ) as simulator:
        return simulator.receive_json(timeout_s=SIMULATOR_TIMEOUT_S)


def _parse_object(line: str) -> dict[str, Any] | None:  # Any: JSON
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
