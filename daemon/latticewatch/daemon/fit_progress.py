"""Tells people on standard error how far a long fit is: a bar in a terminal, lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from latticewatch.daemon.fitting import FitProgress

# Lines of a log, where nobody watches a bar.
_LINES = 10


class FitTeller:
    """Use it as a context manager; leaving ends the bar.

    Parameters
    ----------
    name
        Of the detector.
    console
        Where to tell; standard error unless told otherwise.
    """

    def __init__(self, name: str, console: Console | None = None) -> None:
        self._name = name
        self._console = console or Console(stderr=True, soft_wrap=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} of {task.total:.0f}, {task.fields[left]} left"),
            TextColumn("{task.fields[text]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def tell(self, progress: FitProgress) -> None:
        """Show how far it is."""
        left = in_words(progress.seconds_left)
        if not self._console.is_terminal:
            if _is_told(progress):
                self._console.print(
                    f"{self._name}: {progress.done} of {progress.of}, {left} left, {progress.text}"
                )
            return
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=progress.of, left="", text="")
        self._bar.update(
            self._task, completed=progress.done, total=progress.of, left=left, text=progress.text
        )


def _is_told(progress: FitProgress) -> bool:
    """Every tenth of the way, the first step and the last one."""
    tenth = max(progress.of // _LINES, 1)
    return progress.done == 1 or progress.done == progress.of or progress.done % tenth == 0


def in_words(seconds: float) -> str:
    """Minutes and seconds.

    Examples
    --------
    >>> in_words(7.4), in_words(83.0)
    ('7 s', '1 min 23 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
