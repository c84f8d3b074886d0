"""Environment -> lock: every package with version and hashes, and the sizes of the wheels.

A lock is `images/<framework>/locks/<environment>.txt` or, of a matrix of one's own, `locks/<environment>.txt` beside
it, where the product's own does not answer the same request. Made again it stays as it is: what it holds is
preferred, so that only a changed request changes it. Its header names the command, and no time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from repromatrix import resources
from repromatrix.errors import EnvironmentFailedError, MatrixError
from repromatrix.images.resolve import Resolved, measure, resolve, resolve_newer, versions
from repromatrix.images.sources import configured
from repromatrix.images.tags import PLATFORM
from repromatrix.matrix import Environment

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_REQUEST = "# request: "
_SIZES = "# wheel bytes: "
_SEAL = "# sha256 of the other lines: "
_COMMENTS = ("# The lock of ", _REQUEST, _SIZES, _SEAL)
_SHOWN = 5  # environments in a message
MOST_BYTES = 16 << 20  # of a lock, or of a file of requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package of a lock.

    Attributes:
        hashes: SHA-256 of every file that is allowed, those for other platforms among them.
        size: bytes of the wheel for this platform, None where nobody told.
    """

    name: str
    version: str
    hashes: frozenset[str]
    text: str
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock file that was read.

    Attributes:
        digest: SHA-256 of the file without the lines of sizes and of its own digest, which say nothing of what is
            installed.
    """

    path: Path
    request: tuple[str, ...]
    pins: tuple[Pin, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A package that another version of a lock holds otherwise; None where it is not in it at all.

    `source`: the index or folder that the new version is of, None where that is the user's first index.
    """

    name: str
    before: str | None
    after: str | None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of a lock that was made.

    Attributes:
        changed: whether the file did.
        elsewhere: package, version and source of each that moved or came, and is not of the user's first index.
        left: package and version of each that stays, and of which the sources offer files that the lock does not allow.
    """

    changed: bool
    elsewhere: tuple[tuple[str, str, str], ...] = ()
    left: tuple[tuple[str, str], ...] = ()


def path_of(environment: Environment, folder: Path | None = None) -> Path:
    """Return where the lock of an environment stands.

    Of a matrix of one's own: beside it, unless there is none and the product's own answers the same request.
    """
    own = (folder or resources.folder("images")) / environment.framework / "locks" / f"{environment.name}.txt"
    beside = None if folder else _beside(environment)
    return own if beside is None or (not beside.is_file() and _answers(own, environment)) else beside


def is_current(environment: Environment, folder: Path | None = None) -> bool:
    """Whether the lock is there and answers what matrix.yaml asks for."""
    return _answers(path_of(environment, folder), environment)


def read(environment: Environment, folder: Path | None = None) -> Lock:
    """Read the lock of an environment.

    Raises:
        EnvironmentFailedError: there is none, it answers another request, or it is damaged.
    """
    path = path_of(environment, folder)
    if not path.is_file():
        raise EnvironmentFailedError(
            f"{environment.name} ({environment.where}) has no lock",
            where=str(path),
            hint=f"make it: repromatrix lock --select {environment.name}",
        )
    text = _text(path)
    if _request_of(text) != _request(environment):
        raise EnvironmentFailedError(
            f"the lock of {environment.name} answers another request than {environment.where} makes",
            where=str(path),
            hint=f"make it again: repromatrix lock --select {environment.name}",
        )
    _require_whole(text, path)
    pins = tuple(_pins(text, path))
    return Lock(path=path, request=_request_of(text), pins=pins, digest=_digest(path))


def make(
    environment: Environment, folder: Path | None = None, rehash: Sequence[str] = (), *, any_source: bool = False
) -> Made:
    """Resolve an environment and write its lock.

    Another hash is taken for a version that stays only of packages in `rehash`.

    The user's own package sources are asked first, and the first index that has a version that answers counts,
    unless `any_source`; where they do not hold what is asked for, the environment's own index is asked as well.

    Raises:
        EnvironmentFailedError: with uv's reason, or another hash came for a version that stays.
    """
    path = path_of(environment, folder)
    before = _text(path) if path.is_file() else ""
    resolved = resolve(environment, before, any_source=any_source)
    changed = _write(environment, _written(path, environment, folder), before, resolved, rehash)
    moves = _moves(versions(before), versions(resolved.text), _elsewhere(resolved)) if changed else ()
    elsewhere = ((move.name, move.after, move.source) for move in moves if move.after and move.source)
    return Made(changed=changed, elsewhere=tuple(elsewhere), left=_left(before, resolved.text, rehash))


def adopt(environment: Environment, pinned: str, folder: Path | None = None) -> None:
    """Write requirements that are pinned already as the lock of an environment.

    Raises:
        EnvironmentFailedError: a line has no exact version or no hash.
    """
    path = path_of(environment, folder)
    _pins(pinned, path)
    resources.write_atomically(path, (_header(environment) + pinned).encode())


def upgrade(
    environment: Environment, names: Sequence[str], folder: Path | None = None, *, any_source: bool = False
) -> tuple[Move, ...]:
    """Move `names`, which the lock holds, to the newest versions that the request allows; return all that moved.

    Everything else stays where it can. Nothing is written where nothing newer is allowed.

    Raises:
        EnvironmentFailedError: the lock cannot be read, or with uv's reason.
    """
    path = read(environment, folder).path
    before = _text(path)
    resolved = resolve_newer(environment, before, names, any_source=any_source)
    moves = _moves(versions(before), versions(resolved.text), _elsewhere(resolved)) if resolved.text else ()
    if resolved.text and not any(move.name in names for move in moves):
        return ()
    _write(environment, _written(path, environment, folder), before, resolved)
    return moves


def require_current(matrix: Path, environments: Sequence[Environment]) -> None:
    """Check that every environment has a lock that answers its request.

    Raises:
        MatrixError: naming those without, with the line of the first.
    """
    without = [each for each in environments if not is_current(each)]
    if without:
        names = " ".join(f"--select {each.name}" for each in without[:_SHOWN])
        raise MatrixError(
            f"no lock for what is asked here: {', '.join(each.name for each in without)}",
            where=f"{matrix.name}:{without[0].line}",
            hint=f"make it: repromatrix lock {names}" if len(without) <= _SHOWN else "make them: make lock",
        )


def hashes_in(path: Path) -> frozenset[str]:
    """Return the SHA-256 of every file that a lock allows, whatever request it answers."""
    return frozenset(_HASH.findall(_text(path)))


def orphans(environments: Iterable[Environment], folder: Path | None = None) -> tuple[Path, ...]:
    """Return the lock files that belong to none of `environments`, which should be all of the matrix."""
    known = {each: path_of(each, folder) for each in environments}
    beside = {each.locks for each in known if each.locks}
    if beside and not folder:
        there = [path for place in beside for path in place.glob("*")]
    else:
        there = list((folder or resources.folder("images")).glob("*/locks/*"))
    return tuple(sorted(set(there).difference(known.values())))


def _beside(environment: Environment) -> Path | None:
    return environment.locks / f"{environment.name}.txt" if environment.locks else None


def _written(path: Path, environment: Environment, folder: Path | None) -> Path:
    """Return where a lock is written: what came with the product stays as it is for a matrix of one's own."""
    return path if folder else _beside(environment) or path


def _answers(path: Path, environment: Environment) -> bool:
    return path.is_file() and _request_of(_text(path)) == _request(environment)


def _elsewhere(resolved: Resolved) -> dict[str, str]:
    """Return the packages that are not of the user's first index, with their sources."""
    own = configured()
    return {name: source for name, source in resolved.sources.items() if not own.is_first(source)}


def _require_hashes(environment: Environment, path: Path, before: str, after: str, rehash: Sequence[str]) -> None:
    """Hold the hashes of versions that stay against those that the lock had.

    Raises:
        EnvironmentFailedError: one has another.
    """
    free = {canonicalize_name(name) for name in rehash}
    old, new = _hashes(before), _hashes(after)
    for pin in sorted(pin for pin in {*old} & {*new} if old[pin] and old[pin] != new[pin] and pin[0] not in free):
        come, gone = new[pin] - old[pin], old[pin] - new[pin]
        raise EnvironmentFailedError(
            f"{environment.name}: {' '.join(pin)} has {'another hash' if come else 'fewer hashes'} than in its lock "
            f"({'new' if come else 'gone'}: sha256:{min(come or gone)}), though the version is the same",
            where=str(path),
            hint="somebody may offer another file under that name: check the index and the folders of pip's "
            f"configuration; if it is right: repromatrix lock --all --rehash {pin[0]} --select {environment.name}",
        )


def _kept_hashes(before: str, after: str, rehash: Sequence[str]) -> str:
    """Return `after` without the files that came to a version that stays and has all that the lock allows."""
    left = _left(before, after, rehash)
    old = {pin: block for block in _raw_blocks(before) for pin in versions(block).items()}
    return "".join(
        old[pin] if (pin := next(iter(versions(block).items()), ("", ""))) in left else block
        for block in _raw_blocks(after)
    )


def _left(before: str, after: str, rehash: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the packages and versions that stay with all that the lock allows, and to which files came."""
    free = {canonicalize_name(name) for name in rehash}
    old, new = _hashes(before), _hashes(after)
    return tuple(sorted(pin for pin in {*old} & {*new} if pin[0] not in free and old[pin] < new[pin]))


def _raw_blocks(text: str) -> list[str]:
    """Return the text in pieces, each from a line that is not indented up to the next."""
    return re.split(r"(?<=\n)(?=[^\s#])", text)


def _hashes(text: str) -> dict[tuple[str, str], frozenset[str]]:
    """Return the hashes of each package and version."""
    return {pin: frozenset(_HASH.findall(block)) for block in _blocks(text) for pin in versions(block).items()}


def _write(environment: Environment, path: Path, before: str, resolved: Resolved, rehash: Sequence[str] = ()) -> bool:
    """Write what was resolved; return whether that changes anything."""
    if not resolved.text:
        raise EnvironmentFailedError(
            f"{environment.name} cannot be resolved: {resolved.reason}",
            where=environment.where,
            hint="check the versions there and the package index: repromatrix doctor",
        )
    pinned = _kept_hashes(before, resolved.text, rehash)
    _require_hashes(environment, path, before, pinned, rehash)
    sizes = _kept_sizes(environment, before, pinned)
    if sizes.keys() != versions(pinned).keys():
        sizes |= measure(environment, pinned)
    text = sealed(_header(environment) + _sizes_line(sizes) + pinned)
    if text == before:
        return False
    resources.write_atomically(path, text.encode())
    return True


def sealed(text: str) -> str:
    """Return a lock with the digest of its lines below its header, so that a change of one character is noticed."""
    lines = _unsealed(text).splitlines(keepends=True)
    head = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join([*lines[:head], f"{_SEAL}{_seal_of(text)}\n", *lines[head:]])


def _seal_of(text: str) -> str:
    return sha256(_unsealed(text).encode()).hexdigest()


def _unsealed(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_SEAL))


def _require_whole(text: str, path: Path) -> None:
    """Hold a lock against its own digest, where it tells one: locks of earlier releases do not.

    Raises:
        EnvironmentFailedError: it is no text, or was changed.
    """
    told = [line.removeprefix(_SEAL).strip() for line in text.splitlines() if line.startswith(_SEAL)]
    wrong = "was changed since it was made" if told and told != [_seal_of(text)] else ""
    if not text.replace("\n", "").isprintable() or "\ufffd" in text:
        wrong = "is no text"
    elif any(line.startswith("#") and not line.startswith(_COMMENTS) for line in text.splitlines()):
        wrong = "has a comment that is none of ours"
    if wrong:
        raise EnvironmentFailedError(
            f"the lock {wrong}",
            where=str(path),
            hint="bring it back from version control, or make it again: repromatrix lock",
        )


def _moves(before: Mapping[str, str], after: Mapping[str, str], sources: Mapping[str, str]) -> tuple[Move, ...]:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return tuple(
        Move(name=name, before=before.get(name), after=after.get(name), source=sources.get(name)) for name in names
    )


def _kept_sizes(environment: Environment, before: str, after: str) -> dict[str, int]:
    """Return the sizes that a lock holds of packages that stay: not every index tells them each time."""
    if _request_of(before)[-2:] != _request(environment)[-2:]:  # the wheels of another Python are others
        return {}
    old, new = versions(before), versions(after)
    return {name: size for name, size in _sizes_of(before).items() if name in new and old.get(name) == new[name]}


def _header(environment: Environment) -> str:
    return (
        f"# The lock of {environment.name}; made by: repromatrix lock --select {environment.name}\n"
        f"{_REQUEST}{' '.join(_request(environment))}\n"
    )


def _sizes_line(sizes: Mapping[str, int]) -> str:
    return _SIZES + " ".join(f"{name}={size}" for name, size in sorted(sizes.items())) + "\n" if sizes else ""


def _sizes_of(text: str) -> dict[str, int]:
    line = next((line for line in text.splitlines() if line.startswith(_SIZES)), "")
    pairs = (each.partition("=") for each in line.removeprefix(_SIZES).split())
    return {name: int(size) for name, _, size in pairs if size.isascii() and size.isdecimal()}


def _digest(path: Path) -> str:
    lines = _bytes(path).splitlines(keepends=True)
    without = (_SIZES.encode(), _SEAL.encode())
    return sha256(b"".join(line for line in lines if not line.startswith(without))).hexdigest()


def _text(path: Path) -> str:
    # As reading in text mode does it; what is damaged is told as a bad line.
    return _bytes(path).decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _bytes(path: Path) -> bytes:
    """Return a lock, which may lie beside somebody else's matrix."""
    return resources.read_regular(path, most=MOST_BYTES, links=True)


def _request(environment: Environment) -> tuple[str, ...]:
    return (*environment.packages, f"python=={environment.python}", PLATFORM)


def _request_of(text: str) -> tuple[str, ...]:
    line = next((line for line in text.splitlines() if line.startswith(_REQUEST)), "")
    return tuple(line.removeprefix(_REQUEST).split())


def _blocks(text: str) -> Iterator[str]:
    """Yield each package of a lock with its hashes, on one line."""
    for block in re.split(r"\n(?=[^\s#])", "\n" + text.replace(" \\\n", " ")):
        line = block.strip()
        if line and not line.startswith("#"):
            yield line


def _pins(text: str, path: Path) -> list[Pin]:
    pins = []
    sizes = _sizes_of(text)
    for line in _blocks(text):
        try:
            requirement = Requirement(line.split(" --hash")[0].strip())
        except InvalidRequirement as error:
            raise EnvironmentFailedError(
                f"not a line of a lock: {line[:80]!r}", where=str(path), hint="make the lock again: repromatrix lock"
            ) from error
        rest = line.split(" --hash")[1:]
        if any(not _HASH.fullmatch(f"--hash{each.strip()}") for each in rest if each.startswith("=sha256")):
            raise EnvironmentFailedError(
                f"not a line of a lock: {line[-80:]!r}", where=str(path), hint="make the lock again: repromatrix lock"
            )
        hashes = frozenset(_HASH.findall(line))
        exact = [each.version for each in requirement.specifier if each.operator in ("==", "===")]
        if len(exact) != 1 or not hashes:
            raise EnvironmentFailedError(
                f"{requirement.name} has no exact version or no hash",
                where=str(path),
                hint="make the lock again: repromatrix lock",
            )
        size = sizes.get(canonicalize_name(requirement.name))
        pins.append(Pin(name=requirement.name.lower(), version=exact[0], hashes=hashes, text=line, size=size))
    return pins
