"""Damaged files of every form through every reader: read or refused, in bounded time and memory, and no number made up.

The damages are our own, of bytes and of single values. A coverage-guided fuzzer (atheris) was weighed: the decoders of
records, manifests and traces are compiled (msgspec), so that it would see no branch of them, and it is a dependency
that is built for few Pythons.
"""

import contextlib
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

from bench.torture.damage import damaged, misshapen
from bench.torture.memory import peak, peak_since_now
from bench.torture.tally import Tally
from repromatrix.errors import RepromatrixError, UsageError
from repromatrix.images import base as bases
from repromatrix.images import base_lock, given
from repromatrix.images import lock as locks
from repromatrix.images.digests import Digests
from repromatrix.matrix import load, published
from repromatrix.matrix.workload import load_workload
from repromatrix.results import accepted, experiments, manifest, operations, record, replay, replays, trace
from repromatrix.results.history import History

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 5.0
MOST_GROWTH = 256 << 20
_SHARE_SHAPED = 0.5  # of documents whose single values are changed, not their bytes
Read = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Something that reads a file of somebody else's.

    Attributes:
        seeds: whole files.
        read: raises a RepromatrixError or an OSError where it refuses; else returns the JSON text that it would write
            of what it took, None where it writes none.
        seal: gives a document that was changed on purpose the digest that it tells of itself.
    """

    title: str
    seeds: tuple[bytes, ...]
    read: Read
    seal: Callable[[bytes], bytes] = bytes


def readers(folder: Path, results: Sequence[Path]) -> tuple[Reader, ...]:
    """Return all readers but those of logs, which have a fuzzer of their own.

    Args:
        folder: where damaged files are written.
        results: results folders, whose files are damaged.
    """
    found = [*_of_results(folder, results), *_of_matrix(folder), *_of_images(folder)]
    return tuple(each for each in found if each.seeds)


def _of_results(folder: Path, results: Sequence[Path]) -> Iterator[Reader]:
    def files(pattern: str) -> tuple[bytes, ...]:
        paths = [path for each in results for path in sorted(each.glob(pattern))][:40]
        return tuple(path.read_bytes() for path in paths)

    modules: Mapping[str, Any] = {
        "records/**/*.json": record,
        "traces/**/*.json": trace,
        "manifest.json": manifest,
        "experiments.json": experiments,
        "replays/**/*.json": replay,
        "replays.json": replays,
        "operations.json": operations,
    }
    for pattern, module in modules.items():
        yield Reader(
            title=pattern.replace("**/*", "*"),
            seeds=files(pattern),
            read=_decoded(module),
            seal=_sealed if module is manifest else bytes,
        )
    kept = files("accepted.json")
    yield Reader(title="accepted.json", seeds=kept, read=_in(folder / "accepted.json", accepted.read))
    yield from _of_history(folder, results)


def _of_history(folder: Path, results: Sequence[Path]) -> Iterator[Reader]:
    """Yield a reader for each file of a history, beside the others as they are."""
    kinds: Mapping[str, Callable[[History], Any]] = {
        "nights.jsonl": History.nights,
        "changes.jsonl": History.changes,
        "states.jsonl": History.states,
    }
    there = next((each / "history" for each in results if (each / "history").is_dir()), None)
    for name, read in kinds.items() if there else ():
        place = folder / name.partition(".")[0]
        shutil.copytree(there, place)
        seed = (place / name).read_bytes()

        def taken(path: Path, read: Callable[[History], Any] = read) -> None:
            read(History(path.parent))

        yield Reader(title=f"history/{name}", seeds=(seed,), read=_in(place / name, taken))


def _decoded(module: Any) -> Read:
    return lambda data: module.encode(module.decode(data, "file"))


def _sealed(data: bytes) -> bytes:
    document = json.loads(data)
    if not isinstance(document, dict):
        return data
    bare = document | {"digest": ""}
    return _written(bare | {"digest": sha256(_written(bare)).hexdigest()})


def _written(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode(errors="replace") + b"\n"


def _of_matrix(folder: Path) -> Iterator[Reader]:
    place = folder / "fuzzed"
    place.mkdir(parents=True, exist_ok=True)
    (place / "numpy.py").write_text("def train(task):\n    pass\n")
    (place / "published.json").write_bytes((ROOT / "workloads/mazur/published.json").read_bytes())
    yield Reader(
        title="matrix.yaml",
        seeds=((ROOT / "matrix.yaml").read_bytes(),),
        read=_in(folder / "matrix.yaml", load),
    )
    yield Reader(
        title="workload.yaml",
        seeds=tuple(path.read_bytes() for path in sorted(ROOT.glob("workloads/*/workload.yaml"))),
        read=_in(place / "workload.yaml", lambda path: load_workload(path.parent, "fuzzed")),
    )
    yield Reader(
        title="published figures and claims",
        seeds=((ROOT / "workloads/mazur/published.json").read_bytes(),),
        read=_in(folder / "published.json", _published),
    )


def _published(path: Path) -> None:
    try:
        found = published.read(path)
    except ValueError as error:  # as it promises
        raise UsageError(str(error)) from error
    list(published.problems(found))


def _of_images(folder: Path) -> Iterator[Reader]:
    matrix = load(ROOT / "matrix.yaml")
    environment = matrix.environment("numpy-2.4.6-cpu")
    assert environment
    lock = folder / "numpy" / "locks" / f"{environment.name}.txt"
    kept = [path.read_bytes() for path in sorted(ROOT.glob("images/*/locks/*.txt"))]
    own = (ROOT / "images" / lock.relative_to(folder)).read_bytes()
    yield Reader(title="locks", seeds=(own,) * len(kept), read=_in(lock, lambda _: locks.read(environment, folder)))
    yield Reader(
        title="locks and requirements.txt that a command line names",
        seeds=(*kept, b"torch==2.13.0\nnumpy>=1.26  # why\n"),
        read=_in(folder / "given.txt", lambda path: given.read(matrix, path)),
    )
    yield Reader(
        title="images/bases.yaml",
        seeds=((ROOT / "images/bases.yaml").read_bytes(),),
        read=_bases(folder / "bases.yaml"),
    )
    yield Reader(
        title="locks of bases",
        seeds=tuple(path.read_bytes() for path in sorted(ROOT.glob("images/bases/*.lock"))),
        read=_in(folder / "bases" / "x.lock", lambda _: base_lock.read("x", folder)),
    )
    digest = f"sha256:{'a' * 64}"
    pushed = {"base": {"kind": "local", "digest": digest}, "manifest": digest}
    yield Reader(
        title="pushed-images.json",
        seeds=(json.dumps({"format": 1, "images": {"numpy-2.4.6-cpu": {"a" * 64: pushed}}}).encode(),),
        read=_in(folder / "pushed.json", lambda path: Digests(path).of("numpy-2.4.6-cpu")),
    )


def _bases(path: Path) -> Read:
    def read(data: bytes) -> None:
        path.write_bytes(data)
        with mock.patch.object(bases, "entries_path", return_value=path):
            bases.entries()

    return read


def _in(path: Path, read: Callable[[Path], Any]) -> Read:
    path.parent.mkdir(parents=True, exist_ok=True)

    def written(data: bytes) -> None:
        path.write_bytes(data)
        read(path)

    return written


def fuzz(reader: Reader, count: int, seed: int, end: float = math.inf) -> Tally:
    """Read damaged files, until that time at most, and count what came of them."""
    chance, tally = random.Random(f"{seed} {reader.title}"), Tally(title=reader.title)  # noqa: S311
    shaped = [each for each in reader.seeds if _is_json(each)]
    with contextlib.suppress(Exception):
        reader.read(reader.seeds[0])  # what is loaded at first does not count
    before = peak_since_now()
    for number in range(count):
        if time.monotonic() > end:
            break
        if shaped and chance.random() < _SHARE_SHAPED:
            data = reader.seal(misshapen(chance, shaped))
        else:
            data = damaged(chance, reader.seeds)
        outcome, problems = check(reader, data)
        tally.add(outcome, [f"{reader.title}, seed {seed}, file {number}: {each}" for each in problems])
    grown = peak() - before
    if grown > MOST_GROWTH:
        tally.failures.append(f"{reader.title}: grew by {grown >> 20} MiB")
    return tally


def check(reader: Reader, data: bytes) -> tuple[str, list[str]]:
    """Read one file; return what came of it, and what must not have."""
    begin, problems = time.process_time(), []  # a machine that is busy with other things is no defect
    try:
        taken = reader.read(data)
    except RepromatrixError as error:
        outcome = "refused"
        problems += [] if error.what else ["refused without a word"]
    except OSError:
        outcome = "refused"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        outcome = "a defect"
        problems.append(f"{type(error).__name__}: {error}"[:200])
    else:
        outcome = "read"
        problems += made_up(taken, data) if taken is not None else []
    if time.process_time() - begin > MOST_SECONDS:
        problems.append(f"took {time.process_time() - begin:.1f} s")
    return outcome, problems


def made_up(taken: bytes, data: bytes) -> list[str]:
    """Return the numbers of what was taken that the file does not hold."""
    there = {*_numbers(json.loads(data))}
    return [f"made up {each!r}" for each in dict.fromkeys(_numbers(json.loads(taken))) if each not in there][:3]


def _numbers(document: Any) -> Iterator[str]:
    """Yield the numbers of a document, and the texts that are some, as they are written."""
    if isinstance(document, dict):
        for part in document.values():
            yield from _numbers(part)
    elif isinstance(document, list):
        for part in document:
            yield from _numbers(part)
    elif isinstance(document, str):
        for word in document.split():
            if word[:1] in "-0123456789" and _is_number(word):
                yield word
    elif document is not None and not isinstance(document, bool):
        yield repr(document)


def _is_number(word: str) -> bool:
    try:
        float.fromhex(word)
    except (ValueError, OverflowError):
        return False
    return True


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    places = [Path(each) for each in sys.argv[2:]]
    for one in readers(Path(sys.argv[1]), places):
        told = fuzz(one, 500, 1)
        sys.stdout.write(f"{told.title}: {told.tried} {dict(told.seen)} {told.failures[:5]}\n")
