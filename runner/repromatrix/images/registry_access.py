"""Asks one registry over HTTP: who we are if it wants to know, limits, and every failure in our words.

Passwords and tokens go into request headers and nowhere else: no message repeats an address or an answer's text.
"""

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from repromatrix.engines.credentials import Credentials
from repromatrix.errors import EnvironmentFailedError

_TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of an answer
_LARGEST = 16 << 20  # bytes of an answer
# Indexes first: what is pinned is the tag's own digest, not that of one platform's image.
_ACCEPTED = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/json",
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_REFUSED = frozenset({401, 403})
_OK, _MISSING, _TOO_MANY = 200, 404, 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a registry said.

    Attributes:
        status: of HTTP.
        content: the body.
        digest: of what was asked for, as the registry tells it; empty where it does not.
        challenge: how it wants to be asked instead; empty where it says nothing.
        following: address of the next page; empty on the last one.
    """

    status: int
    content: bytes
    digest: str
    challenge: str
    following: str


class _Header(AuthBase):
    """Sets the Authorization header, or none: without this, requests would take one from ~/.netrc."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class Access:
    """The way to one registry: https, or plain http on this machine itself.

    Args:
        host: the registry as images name it, and as messages do.
        server: `HOST[:PORT]` that speaks for it.
        login: host -> what somebody logged in with, if anybody has; asked only where the registry wants to know.
    """

    def __init__(self, host: str, server: str, login: Callable[[str], Credentials | None]) -> None:
        self._host = host
        self._login = login
        local = _is_loopback(server)
        self._base = f"{'http' if local else 'https'}://{server}"
        self._session = requests.Session()
        self._session.trust_env = not local  # no proxy stands between this machine and itself
        self._authorization: dict[str, str] = {}  # by repository

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(self, method: str, repository: str, address: str) -> Answer | None:
        """Return the answer for an address on this registry, None where it says that there is no such thing.

        Raises:
            EnvironmentFailedError: there is no answer, it does not let us in, or it answers something else.
        """
        url = urljoin(self._base, address)
        if not url.startswith(f"{self._base}/"):
            raise self.error(f"sends us elsewhere for {repository}")
        answer = self._send(method, url, self._authorization.get(repository, ""))
        if answer.status in _REFUSED and answer.challenge:
            self._authorization[repository] = self._authorize(answer.challenge, repository)
            answer = self._send(method, url, self._authorization[repository])
        if answer.status == _MISSING:
            return None
        if answer.status in _REFUSED:
            raise self._refused(repository)
        if answer.status == _TOO_MANY:
            raise self.error("has had too many requests from here", hint=f"wait, or docker login {self._host}")
        if answer.status != _OK:
            raise self.error(f"answers {answer.status} for {repository}")
        return answer

    def error(self, what: str, hint: str = "check the network and the registry") -> EnvironmentFailedError:
        """Return an error that begins with the registry's name."""
        return EnvironmentFailedError(f"{self._host} {what}", hint=hint)

    def _refused(self, repository: str) -> EnvironmentFailedError:
        return self.error(f"does not let us see {repository}", hint=f"docker login {self._host}")

    def _send(self, method: str, url: str, authorization: str, data: Mapping[str, str] | None = None) -> Answer:
        try:
            with self._session.request(
                method,
                url,
                headers={"Accept": ", ".join(_ACCEPTED)},
                auth=_Header(authorization),
                data=data,
                timeout=_TIMEOUT,
                stream=True,
            ) as answer:
                content = bytearray()
                for block in answer.iter_content(1 << 16):
                    content += block
                    if len(content) > _LARGEST:
                        raise self.error(f"sends more than {_LARGEST >> 20} MiB where little was asked for")
                return Answer(
                    status=answer.status_code,
                    content=bytes(content),
                    digest=answer.headers.get("Docker-Content-Digest", ""),
                    challenge=answer.headers.get("WWW-Authenticate", ""),
                    following=answer.links.get("next", {}).get("url", ""),
                )
        except requests.RequestException as error:
            raise self.error(f"does not answer ({_reason(error)})") from None

    def _authorize(self, challenge: str, repository: str) -> str:
        """Return the Authorization header that the registry asks for."""
        scheme, _, rest = challenge.partition(" ")
        known = self._login(self._host)
        if scheme.lower() == "basic":
            if known is None or not known.username:
                raise self._refused(repository)
            return _basic(known)
        if scheme.lower() == "bearer":
            return f"Bearer {self._token(dict(_CHALLENGE.findall(rest)), known, repository)}"
        raise self.error("asks for a way to log in that is not known here")

    def _token(self, challenge: dict[str, str], known: Credentials | None, repository: str) -> str:
        realm = challenge.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.netloc)):
            raise self.error("wants its tokens fetched over a connection that anybody can read")
        asked = {"service": challenge.get("service", ""), "scope": f"repository:{repository}:pull"}
        if known and known.identity_token:
            form = {"grant_type": "refresh_token", "client_id": "repromatrix", "refresh_token": known.identity_token}
            answer = self._send("POST", realm, "", form | asked)
        else:
            url = requests.Request("GET", realm, params=asked).prepare().url or realm
            answer = self._send("GET", url, _basic(known) if known else "")
        if answer.status in _REFUSED:
            raise self._refused(repository)
        try:
            content = json.loads(answer.content)
            return str(content.get("token") or content["access_token"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self.error(f"gives no token for {repository} (status {answer.status})") from None


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.username}:{known.password}".encode()).decode()


def _is_loopback(server: str) -> bool:
    name = urlsplit(f"//{server}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _reason(error: requests.RequestException) -> str:
    """Return why in a few words: the error's own text has the address, with all that stands in it."""
    reasons: dict[type[requests.RequestException], str] = {
        requests.exceptions.SSLError: "its certificate is not trusted here",
        requests.exceptions.ProxyError: "the proxy does not let us through",
        requests.exceptions.ConnectTimeout: "no connection in time",
        requests.exceptions.ReadTimeout: "no answer in time",
        requests.exceptions.ConnectionError: "no connection",
    }
    return next((words for kind, words in reasons.items() if isinstance(error, kind)), type(error).__name__)
