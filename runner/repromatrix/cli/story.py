"""What a person reads while a run goes on: bars on a terminal, plain lines elsewhere, always on standard error."""

import sys
from argparse import Namespace
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from repromatrix import harmless
from repromatrix.cli import out
from repromatrix.errors import EnvironmentFailedError, ResultsError

if TYPE_CHECKING:
    from repromatrix.results.record import Outcome, Record

_GATE = "; to gate on numbers that are noisy by nature: repromatrix check --repeats N"
_FAILURES = ("failed", "timed_out")


class Story:
    """Tells a run's story; the listener of an execution. Safe to call from any thread."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._lock = Lock()
        self._ready: set[str] = set()
        self._bar: Any = None
        self._task: Any = None

    @classmethod
    def of(cls, options: Namespace) -> Self:
        """Return the story that the command line asks for."""
        return cls(quiet=options.quiet, verbose=options.verbose)

    def say(self, text: str) -> None:
        """Print one line unless the caller wants quiet; a text with ends of lines does not get them."""
        if not self._quiet:
            self._print(harmless.line(text))

    def say_lines(self, text: str) -> None:
        """Print a text that has ends of lines, all of them ours, unless the caller wants quiet."""
        if not self._quiet:
            self._print(text)

    def detail(self, text: str) -> None:
        """Print one line for those who asked for all of them."""
        if self._verbose:
            self._print(harmless.line(text))

    def progress(self, total: int) -> Self:
        """Show a bar over `total` steps if standard error is a terminal; use as a context."""
        if total and not self._quiet and sys.stderr.isatty():
            # Only a person at a terminal pays for these imports.
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("cells", total=total)
        return self

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def preparing(self, environment: str) -> None:
        """An environment is looked up, fetched or built."""
        self.detail(f"preparing  {environment}")

    def ready(self, environment: str, *, made: bool) -> None:
        """An environment can run; said once, however many rounds of runs use it."""
        if made or environment not in self._ready:
            self.say(f"{'built' if made else 'found':<10} {environment}")
        self._ready.add(environment)

    def failed(self, environment: str, error: EnvironmentFailedError) -> None:
        """An environment could not be made."""
        self._print(f"{'failed':<10} {environment}\n{error}")

    def warned(self, text: str) -> None:
        """Something could not be checked."""
        self.say_lines(f"{'warning':<10} {text}")

    def repeat(self, cell_id: str, outcome: "Outcome") -> None:
        """One repeat of a cell ended."""
        if self._bar:
            with self._lock:
                self._bar.update(self._task, advance=1, description=cell_id[:60])
        self.detail(f"{outcome.value:<10} {cell_id}")

    def record(self, record: "Record", *, cached: bool) -> None:
        """A cell's record is in the store."""
        if record.outcome.value in _FAILURES and record.repeats:
            log = f" (log: {record.log})" if record.log else ""
            self._print(harmless.line(f"{record.outcome.value:<10} {record.cell.id}: {record.reason}{log}"))
        elif record.deterministic is False:
            self.say(
                f"{'differs':<10} {record.cell.id}: its {record.repeats} repeats do not agree{_parting(record)}{_GATE}"
            )
        elif cached:
            self.detail(f"{'kept':<10} {record.cell.id}")

    def read(self, cell_id: str, said: str) -> None:
        """The output of a command was read."""
        self.say(f"{'read':<10} {cell_id}: {said}")

    def unreadable(self, cell_id: str, error: ResultsError) -> None:
        """The record of an earlier run is damaged."""
        self.say(f"{'damaged':<10} {cell_id}: {error.where}: {error.what}; it runs again")

    def traced(self, cell_id: str, *, reason: str | None, changed: bool) -> None:
        """A cell ran once more to be traced."""
        if reason is not None:
            self.say(f"{'untraced':<10} {cell_id}: {reason}")
        elif changed:
            self.say(f"{'altered':<10} {cell_id}: tracing changes this cell, so its trace explains nothing")
        else:
            self.detail(f"{'traced':<10} {cell_id}")

    def _print(self, text: str) -> None:
        with self._lock:
            if self._bar:
                self._bar.console.print(harmless.lines(text), markup=False, highlight=False, emoji=False)
            else:
                out.complain(text)


def _parting(record: "Record") -> str:
    """Return where the first two of a cell's trajectories part."""
    from repromatrix.results.value import first_values

    one, other = record.trajectories[:2]
    name, step = next(first_values(one, other), ("", 0))
    return f", from {name} of {one.said(step)} on" if name else ""
