"""Base images in the Docker engine: look, pull by digest, import. Knows nothing of environments."""

from pathlib import Path
from typing import Any

from runner.errors import EnvironmentFailedError

_PULL_SECONDS = 600


class DockerImages:
    """The local image store of the engine that the environment names (DOCKER_HOST, or the default socket)."""

    def __init__(self) -> None:
        # The SDK costs a tenth of a second: nobody pays it who does not use containers.
        import docker  # noqa: PLC0415

        self._client: Any = docker.from_env(timeout=_PULL_SECONDS)
        self._errors: Any = docker.errors
        self._seen: dict[str, dict[str, str]] = {}

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return the labels of a local image, None where there is none."""
        if reference not in self._seen:
            try:
                image = self._client.images.get(reference)
            except self._errors.ImageNotFound:
                return None
            self._seen[reference] = dict(image.labels)
        return self._seen[reference]

    def registry_problem(self, reference: str) -> str:
        """Return an empty text if the registry knows that reference, else the engine's reason."""
        try:
            self._client.images.get_registry_data(reference)
        except (self._errors.DockerException, OSError) as error:
            return " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
        return ""

    def pull(self, reference: str) -> None:
        """Pull an image by digest.

        Raises:
            EnvironmentFailedError: no registry answers, or it does not have that digest.
        """
        try:
            self._client.api.pull(reference)
        except (self._errors.DockerException, OSError) as error:
            reason = " ".join(str(getattr(error, "explanation", None) or error).split())[:200]
            raise EnvironmentFailedError(
                f"{reference.split('@')[0]} cannot be pulled ({reason})",
                hint="check the registry: repromatrix doctor",
            ) from error

    def import_rootfs(self, tar: Path, reference: str, labels: dict[str, str]) -> None:
        """Make an image of a root file system; `reference` is `repository:tag`.

        Raises:
            EnvironmentFailedError: the engine refuses it.
        """
        repository, _, tag = reference.rpartition(":")
        changes = [f'LABEL {key}="{value}"' for key, value in labels.items()]
        try:
            with tar.open("rb") as stream:
                self._client.api.import_image_from_data(stream, repository=repository, tag=tag, changes=changes)
        except (self._errors.DockerException, OSError) as error:
            raise EnvironmentFailedError(
                f"the engine does not take the base image: {error}", hint="check the engine: repromatrix doctor"
            ) from error
        self._seen.pop(reference, None)
