"""What is in an image, read without ever starting it: its settings, single files, and a digest of all its files."""

import io
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import IO

from repromatrix.engines import owner
from repromatrix.engines.connection import connect, while_it_answers
from repromatrix.engines.docker import OWNER_LABEL
from repromatrix.errors import EnvironmentFailedError

_BLOCK = 1 << 20
# What an engine puts into every container by itself, whatever its image holds.
_INJECTED = frozenset({".dockerenv", "etc/hosts", "etc/hostname", "etc/mtab", "etc/resolv.conf"})
_MOUNTED = frozenset({"dev", "proc", "sys"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What the engine tells of an image.

    Attributes:
        digest: the image's own digest, over its layers and settings.
        size: bytes of all its layers, unpacked; some engines count whole blocks.
        layers: digests of the uncompressed layers, the base's first.
        variables: name and value of every environment variable.
    """

    digest: str
    size: int
    layers: tuple[str, ...]
    labels: Mapping[str, str]
    variables: tuple[tuple[str, str], ...]
    user: str
    entrypoint: tuple[str, ...]


class ImageReader:
    """Looks into the images of an engine.

    Raises:
        NoEngineError: when it does not answer.
    """

    def __init__(self) -> None:
        self._client = connect()

    def facts(self, reference: str) -> ImageFacts | None:
        """Return what the engine tells of an image, None where there is none."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        try:
            with while_it_answers(but=ImageNotFound):
                image = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
                steps = self._client.history(reference)  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None
        config = image["Config"]
        pairs = (each.partition("=") for each in config.get("Env") or ())
        return ImageFacts(
            digest=image["Id"],
            size=sum(int(each["Size"]) for each in steps),  # the image's own "Size" may be that of packed layers
            layers=tuple(image["RootFS"]["Layers"]),
            labels=dict(sorted((config.get("Labels") or {}).items())),
            variables=tuple((name, value) for name, _, value in pairs),
            user=config.get("User") or "",
            entrypoint=tuple(config.get("Entrypoint") or ()),
        )

    def file(self, reference: str, path: str) -> bytes | None:
        """Return the content of one file of an image, None where it is not there or is no file.

        Raises:
            EnvironmentFailedError: there is no such image.
        """
        from docker.errors import NotFound  # noqa: PLC0415

        with self._never_started(reference) as container, while_it_answers(but=NotFound), suppress(NotFound):
            stream, _ = self._client.get_archive(container, path)
            with tarfile.open(fileobj=_Pieces(stream), mode="r|") as archive:
                member = archive.next()
                content = archive.extractfile(member) if member and member.isreg() else None
                return content.read() if content else None
        return None

    def digest(self, reference: str) -> str:
        """Return the SHA-256 over path, type, mode and content of every file of an image, whatever its layers.

        Raises:
            EnvironmentFailedError: there is no such image.
        """
        with self._never_started(reference) as container, while_it_answers():
            return content_digest(_Pieces(self._client.export(container, chunk_size=_BLOCK)))

    @contextmanager
    def _never_started(self, reference: str) -> Iterator[str]:
        from docker.errors import APIError, NotFound  # noqa: PLC0415

        name = f"repromatrix-{uuid.uuid4().hex[:12]}"
        try:
            try:
                with while_it_answers(but=APIError):
                    self._client.create_container(
                        image=reference, name=name, command=["none"], labels={OWNER_LABEL: owner.ourselves()}
                    )
            except APIError as error:
                raise EnvironmentFailedError(
                    f"{reference} cannot be read: {error.explanation or error}", hint="repromatrix build, then again"
                ) from error
            yield name
        finally:
            with while_it_answers(), suppress(NotFound):
                self._client.remove_container(name, force=True, v=True)


class _Pieces(io.RawIOBase):
    """A stream of pieces of any size as something to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = memoryview(piece)
        taken, self._left = (self._left[:size], self._left[size:]) if size >= 0 else (self._left, memoryview(b""))
        return bytes(taken)


def content_digest(stream: IO[bytes] | io.RawIOBase) -> str:
    """Return the SHA-256 over path, type, mode and content of everything in a tar, in whatever order it comes.

    Times and owners do not count, nor what an engine puts into every container. A file of several names counts as so
    many files: which of them the tar has as a link depends on its order. Nothing is unpacked, and memory grows with
    the number of files only.
    """
    lines: list[bytes] = []
    files: dict[str, str] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = member.name.removeprefix("./").strip("/")
            if member.isreg():
                files[path] = _content(archive, member)
            if path in {"", "."} or path in _INJECTED or path.split("/", 1)[0] in _MOUNTED:
                continue
            lines.append(_line(path, member, files))
    digest = sha256()
    for line in sorted(lines):
        digest.update(line)
    return f"sha256:{digest.hexdigest()}"


def _line(path: str, member: tarfile.TarInfo, files: Mapping[str, str]) -> bytes:
    """Return the SHA-256 of what counts of one entry: short, since all of them are kept until they can be sorted."""
    if member.isreg() or member.islnk():
        kind = "file"
        content = files[path] if member.isreg() else files.get(member.linkname.removeprefix("./").strip("/"), "?")
    elif member.issym():
        kind, content = "link", member.linkname
    elif member.ischr() or member.isblk():
        kind, content = "character" if member.ischr() else "block", f"{member.devmajor}:{member.devminor}"
    else:
        kind, content = "folder" if member.isdir() else f"type {member.type!r}", ""
    parts = (path, kind, f"{member.mode & 0o7777:o}", content)
    return sha256("\0".join(parts).encode(errors="surrogateescape")).digest()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    digest = sha256()
    content = archive.extractfile(member)
    while content and (block := content.read(_BLOCK)):
        digest.update(block)
    return digest.hexdigest()
