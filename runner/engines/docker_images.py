"""Base images in the Docker engine: look, pull by digest, import. Knows nothing of environments."""

from pathlib import Path

from runner.engines.connection import connect, while_it_answers
from runner.errors import EnvironmentFailedError


class DockerImages:
    """The local image store of the engine.

    Raises:
        NoEngineError: when it does not answer.
    """

    def __init__(self) -> None:
        self._client = connect()
        self._seen: dict[str, dict[str, str]] = {}

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return the labels of a local image, None where there is none."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        if reference not in self._seen:
            try:
                with while_it_answers(but=ImageNotFound):
                    image = self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
            except ImageNotFound:
                return None
            self._seen[reference] = dict(image["Config"].get("Labels") or {})
        return self._seen[reference]

    def registry_problem(self, reference: str) -> str:
        """Return an empty text if the registry knows that reference, else the engine's reason."""
        from docker.errors import APIError  # noqa: PLC0415

        try:
            with while_it_answers(but=APIError):
                self._client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
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


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
