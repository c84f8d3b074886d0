"""Base images in the Docker engine: look, pull by digest, import. Knows nothing of environments."""

from dataclasses import dataclass
from pathlib import Path

from repromatrix.engines.connection import connect, while_it_answers
from repromatrix.errors import EnvironmentFailedError

_NAMELESS = "<none>:<none>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An image of the engine.

    Attributes:
        id: its own digest.
        references: its names, none for one whose name went to a newer image.
        size: bytes that it shares with no other image.
        made: seconds since 1970.
    """

    id: str
    references: tuple[str, ...]
    labels: dict[str, str]
    size: int
    made: int


class DockerImages:
    """The local image store of the engine.

    Raises:
        NoEngineError: when it does not answer.
    """

    def __init__(self) -> None:
        self._client = connect()
        self._seen: dict[str, dict[str, str] | None] = {}  # None: asked for, and not there

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return the labels of a local image, None where there is none."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        if reference not in self._seen:
            try:
                with while_it_answers(but=ImageNotFound):
                    image = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
                self._seen[reference] = dict(image["Config"].get("Labels") or {})
            except ImageNotFound:
                self._seen[reference] = None
        return self._seen[reference]

    def registry_problem(self, reference: str, seconds: int) -> str:
        """Return an empty text if the registry knows that reference, else the engine's reason, or that time is up."""
        from docker.errors import APIError  # noqa: PLC0415
        from requests.exceptions import Timeout  # noqa: PLC0415

        client = connect()
        client.timeout = seconds  # of this question; the others may take as long as a busy engine needs
        try:
            with while_it_answers(but=(APIError, Timeout)):
                client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
        except Timeout:
            return f"no answer within {seconds} s"
        except APIError as error:
            return _reason(error)
        return ""

    def pull(self, reference: str) -> None:
        """Pull an image by digest.

        Raises:
            EnvironmentFailedError: no registry answers, or it does not have that digest.
        """
        from docker.errors import APIError  # noqa: PLC0415

        try:
            with while_it_answers(but=APIError):
                self._client.pull(reference)
                self._seen.pop(reference, None)
        except APIError as error:
            raise EnvironmentFailedError(
                f"{reference.split('@', maxsplit=1)[0]} cannot be pulled ({_reason(error)})",
                hint="check the registry: repromatrix doctor",
            ) from error

    def import_rootfs(self, tar: Path, reference: str, labels: dict[str, str]) -> None:
        """Make an image of a root file system; `reference` is `repository:tag`.

        Raises:
            EnvironmentFailedError: the engine refuses it.
        """
        from docker.errors import APIError  # noqa: PLC0415

        repository, _, tag = reference.rpartition(":")
        changes = [f'LABEL {key}="{value}"' for key, value in labels.items()]
        try:
            with while_it_answers(but=APIError), tar.open("rb") as stream:
                self._client.import_image_from_data(stream, repository=repository, tag=tag, changes=changes)
        except APIError as error:
            raise EnvironmentFailedError(
                f"the engine does not take the base image: {_reason(error)}",
                hint="check the engine: repromatrix doctor",
            ) from error
        self._seen.pop(reference, None)

    def data_root(self) -> Path | None:
        """Return the engine's own folder, None where it is not seen from here."""
        with while_it_answers():
            root = Path(self._client.info().get("DockerRootDir") or "")
        return root if root.is_absolute() and root.is_dir() else None

    def held(self, *labels: str) -> tuple[Held, ...]:
        """Return the images that carry one of these labels."""
        with while_it_answers():
            found = self._client.df()["Images"] or []
        return tuple(
            Held(
                id=each["Id"],
                references=tuple(sorted(name for name in each["RepoTags"] or () if name != _NAMELESS)),
                labels=dict(each["Labels"]),
                size=each["Size"] - max(each["SharedSize"], 0),
                made=each["Created"],
            )
            for each in found
            if not (each["Labels"] or {}).keys().isdisjoint(labels)
        )

    def remove(self, reference: str) -> str:
        """Remove a name, and the image with its last one if no container uses it; return why the engine does not."""
        from docker.errors import APIError, ImageNotFound  # noqa: PLC0415

        try:
            with while_it_answers(but=APIError):
                self._client.remove_image(reference)
        except ImageNotFound:  # somebody else was quicker
            return ""
        except APIError as error:
            return _reason(error)
        return ""


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
