"""Words of a command line -> series: cells, records, results folders, published columns, logs of other programs."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from repromatrix.compare import metrics, series
from repromatrix.compare.allowance import Allowances, Floor, Stated, Tolerance, of_run, tolerances
from repromatrix.compare.arrays import Values
from repromatrix.compare.metrics import Read, Wish
from repromatrix.compare.series import Series
from repromatrix.errors import NothingSelectedError, UsageError
from repromatrix.results.logs import files
from repromatrix.results.logs import read as logs
from repromatrix.results.logs.columns import Asked, Log
from repromatrix.results.manifest import Entry, Manifest
from repromatrix.results.record import Description
from repromatrix.results.store import Store, record_of

_PUBLISHED = "published:"
_SHOWN = 5  # names in a message
# What torch.testing.assert_close documents as its defaults; the matrix of this project states the same.
_BY_PYTORCH = "torch.testing.assert_close's documented defaults (no run or matrix states a tolerance)"
_DOCUMENTED = (
    ("float64", 1e-7, 1e-7, _BY_PYTORCH),
    ("float32", 1.3e-6, 1e-5, _BY_PYTORCH),
    ("bfloat16", 1.6e-2, 1e-5, _BY_PYTORCH),
    ("float16", 1e-3, 1e-5, _BY_PYTORCH),
)


class Sources:
    """Resolves the arguments one by one; the same losses of several cells are kept once, equal logs are read once.

    Args:
        results: the folder whose cells may be named.
        asked: what is said of every log: its columns, its steps, its commas.
        wishes: which metrics of logs count, and how.
        printed: the published columns that a run names, as series.
        stated: the tolerances of the matrix, for what no run states.
    """

    def __init__(
        self,
        results: Path,
        asked: Asked,
        wishes: Sequence[Wish],
        printed: Callable[[Manifest], Iterable[Series]],
        stated: Callable[[], Iterable[Stated]],
    ) -> None:
        self._results = Store(results)
        self._asked, self._wishes = asked, wishes
        self._printed, self._stated = printed, stated
        self._manifests: dict[str, tuple[Store, Manifest]] = {}
        self._arrays: dict[str, Series] = {}
        self._steps: dict[bytes, Values] = {}
        self._logs: dict[tuple[bytes, Asked], Log] = {}
        self._labels: Counter[str] = Counter()
        self.folders = 0
        self.notes: list[str] = []  # what was read as what

    def read(self, arguments: Sequence[str]) -> tuple[Series, ...]:
        """Return the series of all arguments under names of their own.

        Raises:
            UsageError: a file that cannot be used.
            NothingSelectedError: an argument that names nothing, or fewer than two series in all.
        """
        parts: list[list[Series]] = []
        reads: list[tuple[int, Read]] = []
        chosen: set[tuple[str, str]] = set()
        for argument in arguments:
            name, rest = _named(argument)
            parts.append([])
            for one in self._series(rest, name):
                if isinstance(one, Read):
                    reads.append((len(parts) - 1, one))
                    continue
                cell = (one.source, one.cell_id or "")
                if one.cell_id and cell in chosen:
                    continue  # two patterns may choose one cell
                chosen.add(cell)
                parts[-1].append(self._shared(one))
            if name is not None:
                single = len(parts[-1]) == 1
                parts[-1] = [each.named(name if single else f"{name}:{each.name}") for each in parts[-1]]
        if reads:
            others = any(parts)
            logged, self.notes = metrics.of_logs([read for _, read in reads], self._wishes, others=others)
            for (place, _), own in zip(reads, logged, strict=True):
                parts[place] += [self._shared(each) for each in own]
        found = [each for part in parts for each in part]
        if len(found) < 2:  # noqa: PLR2004
            raise NothingSelectedError(
                f"{len(found)} series is selected by {' '.join(arguments)}: nothing to compare it with",
                hint="name another cell, file or folder, or a pattern of several cells",
            )
        return _distinct(found)

    def one(self, argument: str) -> list[Series | Read]:
        """Return what one argument names: cells as series, a log as it was read.

        Raises:
            UsageError: a file that cannot be used.
            NothingSelectedError: it names nothing.
        """
        name, rest = _named(argument)
        found = list(self._series(rest, name))
        return [each if isinstance(each, Read) or name is None else each.named(name) for each in found]

    def asked(self, read: Read) -> Asked:
        """Return how a log was read."""
        return replace(self._asked, columns=read.chosen)

    def allowed(self) -> Allowances:
        """Return who judges: the first run with a floor or tolerance, else the matrix, else what PyTorch documents."""
        if not self._manifests and (self._results.has_manifest or self._results.read_impact()):
            self._manifest(self._results, str(self._results.folder))
        floors: dict[tuple[str, str], Floor] = {}
        stated: dict[str, Tolerance] = {}
        for label, (store, _) in self._manifests.items():
            run = of_run(store)
            floors = dict(run.floors) | floors
            stated = _told(run.tolerances, f"the run in {label}") | stated
        stated = stated or _told(tolerances(self._stated()), "matrix.yaml")
        return Allowances(floors=floors, tolerances=tolerances(_DOCUMENTED) | stated)

    def _series(self, rest: str, name: str | None) -> Iterator[Series | Read]:
        path, column = _columned(rest)
        if rest.startswith(_PUBLISHED):
            yield from self._published(rest.removeprefix(_PUBLISHED))
        elif path.is_dir() and column is None:
            self.folders += 1
            yield from self._cells(Store(path), self._label(name or rest), None)
        elif path.exists() or _like_a_file(str(path)):
            yield self._file(path, column, name or rest)
        else:
            yield from self._cells(self._results, str(self._results.folder), rest)

    def _label(self, wanted: str) -> str:
        self._labels[wanted] += 1
        return wanted if self._labels[wanted] == 1 else f"{wanted} ({self._labels[wanted]})"

    def _file(self, path: Path, column: str | None, name: str) -> Series | Read:
        data = files.read(path)
        record = record_of(data, str(path)) if column is None else None
        if record:
            return series.of_record(record, str(path))
        if column is not None and self._asked.columns:
            raise UsageError("both FILE::COLUMN and --column", where=str(path), hint="use one of them")
        asked = self._asked if column is None else replace(self._asked, columns=(column,))
        same = (hashlib.sha256(data).digest(), asked)
        log = self._logs[same] = self._logs.get(same) or logs.parse(data, str(path), asked)
        bare = name.removesuffix(f"::{column}") if column is not None else name
        return Read(name=bare, source=str(path), log=log, chosen=asked.columns)

    def _cells(self, store: Store, label: str, pattern: str | None) -> Iterator[Series]:
        manifest = self._manifest(store, label)
        members = {name for each in manifest.ensembles for name in each.members}
        entries = [each for each in manifest.entries if each.key is not None]
        if pattern is not None and pattern not in {each.id for each in entries}:
            impact = store.read_impact()  # beside the latest run, what `impact` looked at has a name as well
            entries += [each for each in (impact.entries if impact else ()) if each.id == pattern and each.key]
        empty = True
        for entry in entries:
            by_id = pattern is not None and "/" in pattern
            if (entry.id in members and entry.id != pattern) or (by_id and not fnmatchcase(entry.id, pattern or "")):
                continue
            found = _of_entry(store, entry, label)
            if pattern is None or by_id or (found.cell and _chosen(found.cell, pattern)):
                empty = False
                yield found
        if empty:
            raise _nothing(pattern or str(store.folder), [each.id for each in entries], str(store.folder))

    def _published(self, pattern: str) -> Iterator[Series]:
        columns = list(self._printed(self._manifest(self._results, str(self._results.folder))))
        titles = [each.name for each in columns]
        chosen = [each for each in columns if fnmatchcase(each.name.casefold(), pattern.casefold())]
        if not chosen:
            raise _nothing(pattern, titles, f"the published tables of {self._results.folder}", _PUBLISHED)
        yield from (each.named(f"{_PUBLISHED}{each.name}") for each in chosen)

    def _manifest(self, store: Store, label: str) -> Manifest:
        if label not in self._manifests:
            impact = None if store.has_manifest else store.read_impact()
            self._manifests[label] = (store, impact or store.read_manifest())
        return self._manifests[label][1]

    def _shared(self, found: Series) -> Series:
        """Return a series with the numbers and the steps of an earlier one that has the same."""
        if found.values is None:
            return found
        same = self._arrays.setdefault(found.digest, found)
        logged = found.logged
        if logged is not None:
            logged = self._steps.setdefault(hashlib.sha256(logged.tobytes()).digest() + bytes(logged.shape[1]), logged)
        return replace(found, values=same.values, joined=same.joined, logged=logged)


def _named(argument: str) -> tuple[str | None, str]:
    """Split NAME=PATH; what exists under the whole text is no such thing."""
    name, equals, rest = argument.partition("=")
    return (name, rest) if equals and name and rest and not Path(argument).exists() else (None, argument)


def _columned(text: str) -> tuple[Path, str | None]:
    """Split FILE::COLUMN; what exists under the whole text is no such thing."""
    path, colons, column = text.partition("::")
    if not colons or not path or not column or Path(text).exists():
        return Path(text), None
    return Path(path), column


def _like_a_file(text: str) -> bool:
    suffixes = (".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".ndjson", ".npy", ".npz", ".safetensors", ".gz")
    return text.endswith(suffixes) or text.startswith((".", "/")) or text.endswith("/")


def _of_entry(store: Store, entry: Entry, label: str) -> Series:
    record = store.read(entry.id, entry.key or "")
    if record is None:
        return Series(name=entry.id, source=label, cell_id=entry.id, absent=f"{label} has no record of it")
    return series.of_record(record, label)


def _chosen(cell: Description, pattern: str) -> bool:
    return any(fnmatchcase(each, pattern) for each in (cell.workload, cell.environment, cell.framework, cell.variant))


def _nothing(pattern: str, known: Iterable[str], where: str, prefix: str = "") -> NothingSelectedError:
    known = list(known)
    near = [f"{prefix}{each}" for each in get_close_matches(pattern, known, n=3, cutoff=0.5)]
    listed = ", ".join([f"{prefix}{each}" for each in known][:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {listed}"
    return NothingSelectedError(f"nothing is called {prefix}{pattern}", where=where, hint=hint)


def _distinct(found: Sequence[Series]) -> tuple[Series, ...]:
    """Return the series under names of their own: the source in front, then a number."""
    counts = Counter(each.name for each in found)
    named = [each if counts[each.name] == 1 else each.named(f"{each.source}:{each.name}") for each in found]
    seen: Counter[str] = Counter()
    result = []
    for each in named:
        seen[each.name] += 1
        result.append(each if seen[each.name] == 1 else each.named(f"{each.name} ({seen[each.name]})"))
    return tuple(result)


def _told(stated: Mapping[str, Tolerance], place: str) -> dict[str, Tolerance]:
    """Return tolerances that say where they were stated."""
    return {dtype: replace(each, source=f"{each.source} (tolerance of {place})") for dtype, each in stated.items()}
