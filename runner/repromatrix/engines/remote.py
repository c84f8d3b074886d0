"""Images between the engine and a registry: ask, push, pull. Knows nothing of environments.

The engine does the transfers and verifies what it pulls by digest. The SDK hands it what `docker login` left in
the user's Docker configuration; nothing here reads a password, keeps one or tells one.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from repromatrix.engines.connection import connect, engine_host, while_it_answers
from repromatrix.errors import EnvironmentFailedError, NoEngineError, RepromatrixError

if TYPE_CHECKING:
    from docker import APIClient

_TICK = 0.1  # seconds between two looks at whether the runner stops
_LENGTH = 300
_REFUSED = {401, 403}
_REFUSALS = ("unauthorized", "denied", "no basic auth credentials", "authentication required")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """An image in the engine's own store.

    Attributes:
        id: digest of its configuration.
        tags: `repository:tag`, each.
        digests: `repository@sha256:...` for each registry that is known to hold it.
        labels: its labels.
    """

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    labels: dict[str, str]


class Remote:
    """Registries as one engine reaches them. Safe to use from any thread.

    Raises:
        NoEngineError: when the engine does not answer; any method may.
    """

    def __init__(self, client: "APIClient | None" = None) -> None:
        self._client = client or connect()
        self._stopped = Event()

    def local(self, reference: str) -> LocalImage | None:
        """Return the image of that reference on this machine, None where there is none."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        try:
            with while_it_answers(but=ImageNotFound):
                found = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None
        return _image(found, found["Config"].get("Labels"))

    def held(self, repository: str) -> tuple[LocalImage, ...]:
        """Return the images of a repository on this machine, in the order of their tags."""
        with while_it_answers():
            found = self._client.images(name=repository)
        return tuple(sorted((_image(each, each["Labels"]) for each in found), key=lambda each: each.tags))

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give a local image another reference."""
        with while_it_answers():
            self._client.tag(image, repository, tag)

    def untag(self, reference: str) -> None:
        """Remove a reference, and the image with its last one."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        with contextlib.suppress(ImageNotFound), while_it_answers(but=ImageNotFound):
            self._client.remove_image(reference)

    def digest(self, reference: str) -> str | None:
        """Return the manifest's digest that a registry has under that reference, None where it has none.

        Raises:
            EnvironmentFailedError: it does not answer, or does not let us in.
        """
        from docker.errors import NotFound  # noqa: PLC0415

        def ask(client: "APIClient") -> str:
            try:
                return str(client.inspect_distribution(reference)["Descriptor"]["digest"])  # type: ignore[no-untyped-call]
            except NotFound:
                return ""

        return self._apart(ask, "asked for", reference) or None

    def push(self, repository: str, tag: str) -> str:
        """Send a local image and return its manifest's digest.

        Raises:
            EnvironmentFailedError: the registry does not take it, or the runner stops.
        """
        reference = f"{repository}:{tag}"
        digest = self._apart(
            lambda client: self._follow(client.push(repository, tag=tag, stream=True, decode=True)), "pushed", reference
        )
        if not digest:
            raise EnvironmentFailedError(
                f"the engine does not tell under which digest it pushed {reference}", hint="repromatrix doctor"
            )
        return digest

    def pull(self, reference: str) -> LocalImage:
        """Fetch an image; the engine refuses one that is not what a digest in the reference says.

        Raises:
            EnvironmentFailedError: the registry does not have it whole, does not answer, or the runner stops.
        """
        self._apart(lambda client: self._follow(client.pull(reference, stream=True, decode=True)), "pulled", reference)
        found = self.local(reference)
        if found is None:
            raise EnvironmentFailedError(f"{reference} was pulled and is not there", hint="repromatrix doctor")
        return found

    def stop(self) -> None:
        """End every transfer under way, and each one begun later; from any thread."""
        self._stopped.set()

    def _follow(self, lines: Iterator[dict[str, Any]]) -> str:
        """Read the engine's story of a transfer; return the digest that it tells, if any."""
        digest = ""
        for line in lines:
            if self._stopped.is_set():
                break
            if "error" in line:
                raise _RefusedError(str(line["error"]))
            digest = str(line.get("aux", {}).get("Digest", digest))
        return digest

    def _apart(self, ask: Callable[["APIClient"], str], done: str, reference: str) -> str:
        """Return what `ask` returns, or raise at once when the runner stops."""
        errand = _Errand(ask)
        errand.start()
        while not (self._stopped.is_set() or errand.ended.wait(_TICK)):
            pass
        if self._stopped.is_set():
            raise EnvironmentFailedError(f"{reference} was not {done}: stopped by the runner")
        if errand.error:
            raise _problem(f"{reference} cannot be {done}", reference, errand.error) from errand.error
        return errand.answer


class _RefusedError(Exception):
    """What the engine says in the middle of a transfer."""


class _Errand(Thread):
    """Asks the engine for something of a registry, on a connection whose end makes the engine give up.

    A thread of its own, that nobody has to wait for: the engine may be silent for as long as a registry is.
    """

    def __init__(self, ask: Callable[["APIClient"], str]) -> None:
        super().__init__(name="repromatrix-errand", daemon=True)
        self._ask = ask
        self.ended = Event()
        self.answer = ""
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            client = connect()
            try:
                self.answer = self._ask(client)
            finally:
                client.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread that waits tells it
            self.error = error
        finally:
            self.ended.set()


def _image(found: dict[str, Any], labels: dict[str, str] | None) -> LocalImage:
    return LocalImage(
        id=found["Id"],
        tags=tuple(sorted(found["RepoTags"] or ())),
        digests=tuple(sorted(found["RepoDigests"] or ())),
        labels=dict(labels or {}),
    )


def _problem(what: str, reference: str, error: Exception) -> RepromatrixError:
    """Return the error of ours for what went wrong between the engine and a registry."""
    from docker.errors import APIError, DockerException  # noqa: PLC0415

    host = reference.split("/", maxsplit=1)[0]
    if isinstance(error, NoEngineError):
        return error
    if isinstance(error, DockerException) and not isinstance(error, APIError):
        # The text may hold what a credential helper printed: it is not told.
        return EnvironmentFailedError(
            f"{what}: the credentials for {host} in your Docker configuration cannot be read",
            hint=f"docker login {host}",
        )
    if not isinstance(error, (APIError, _RefusedError)):
        return NoEngineError(
            f"{what}: the Docker engine on {engine_host()} stopped answering: {type(error).__name__}",
            hint="repromatrix doctor",
        )
    reason = " ".join(str(getattr(error, "explanation", None) or error).split())[:_LENGTH]
    if getattr(error, "status_code", None) in _REFUSED or any(each in reason for each in _REFUSALS):
        return EnvironmentFailedError(f"{what}: {host} does not let us in ({reason})", hint=f"docker login {host}")
    return EnvironmentFailedError(
        f"{what}: {reason}", hint=f"check --registry and that {host} answers; without --registry it is built here"
    )
