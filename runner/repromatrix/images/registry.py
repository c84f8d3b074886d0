"""A registry asked over HTTP (the OCI distribution API) which digests and tags it has; nothing is pulled."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from urllib.parse import urljoin

from repromatrix.engines.credentials import Credentials, credentials
from repromatrix.images.registry_access import Access

_HUB = "docker.io"
_HUB_API = "registry-1.docker.io"
_MOST_PAGES = 1000
_PAGE = 1000  # tags that are asked for at once; a registry may give fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image as people write it, taken apart: `python:3.11` is `docker.io`, `library/python`, `3.11`."""

    host: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take `[HOST[:PORT]/]REPOSITORY[:TAG]` apart; without a tag it is `latest`."""
        first, slash, rest = text.partition("/")
        named = bool(slash) and ("." in first or ":" in first or first == "localhost")
        host, path = (first, rest) if named else (_HUB, text)
        repository, _, tag = path.partition(":")
        if host == _HUB and "/" not in repository:
            repository = f"library/{repository}"
        return cls(host=host, repository=repository, tag=tag or "latest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a registry keeps under a tag or digest.

    Attributes:
        digest: `sha256:` and the hash of the bytes that came.
        platforms: `os/architecture` of each image in an index; empty for the manifest of a single image.
    """

    digest: str
    platforms: frozenset[str]


class Registry:
    """One registry: https, or plain http on this machine itself. Not to be shared between threads."""

    def __init__(self, host: str, login: Callable[[str], Credentials | None] = credentials) -> None:
        self.host = host
        self._access = Access(host, _HUB_API if host == _HUB else host, login)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._access.close()

    def digest(self, repository: str, reference: str) -> str | None:
        """Return the digest of a tag, or of a digest that is still there; None where it is not.

        Raises:
            EnvironmentFailedError: the registry does not answer, or does not let us in.
        """
        answer = self._access.ask("HEAD", repository, f"/v2/{repository}/manifests/{reference}")
        if answer is None:
            return None
        if answer.digest:
            return answer.digest
        found = self.manifest(repository, reference)
        return found.digest if found else None

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return what stands under a tag or digest, its digest computed here; None where there is nothing.

        Raises:
            EnvironmentFailedError: as `digest`; or the bytes are not those of the digest that was told or asked for.
        """
        answer = self._access.ask("GET", repository, f"/v2/{repository}/manifests/{reference}")
        if answer is None:
            return None
        found = f"sha256:{sha256(answer.content).hexdigest()}"
        wanted = {answer.digest or found}
        if reference.startswith("sha256:"):
            wanted.add(reference)
        if wanted != {found}:
            raise self._access.error(f"sent other bytes for {repository} {reference} than their digest says")
        try:
            listed = [each["platform"] for each in json.loads(answer.content).get("manifests", [])]
            platforms = frozenset(f"{each['os']}/{each['architecture']}" for each in listed)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._access.error(f"sent something that is no manifest for {repository} {reference}") from error
        return Manifest(digest=found, platforms=platforms)

    def tags(self, repository: str) -> tuple[str, ...]:
        """Return every tag of a repository in the registry's order, page by page; none where there is no such one.

        Raises:
            EnvironmentFailedError: as `digest`; or a page is no list of tags, or the pages do not end.
        """
        address = f"/v2/{repository}/tags/list?n={_PAGE}"
        found: list[str] = []
        seen = {address}
        for _ in range(_MOST_PAGES):
            answer = self._access.ask("GET", repository, address)
            if answer is None:
                return tuple(found)
            try:
                found += [str(each) for each in json.loads(answer.content)["tags"] or []]
            except (ValueError, KeyError, TypeError) as error:
                raise self._access.error(f"sent something that is no list of tags for {repository}") from error
            if not answer.following:
                return tuple(found)
            address = urljoin(address, answer.following)
            if address in seen:
                break
            seen.add(address)
        raise self._access.error(f"lists the tags of {repository} without end")
