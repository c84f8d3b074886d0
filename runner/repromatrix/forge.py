"""A text -> the one issue, pull request or comment that holds it in a repository on GitHub, or the summary of a job.

Issues, pull requests and comments are found again by a marker, a comment of HTML at the end of the text. Only what the
same account wrote is ever edited: a marker that somebody else copied leads nowhere.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import requests

from repromatrix import harmless, resources
from repromatrix.errors import EnvironmentFailedError, UsageError

API = "https://api.github.com"
ACTIONS = "github-actions[bot]"  # who writes with a workflow's own token
_MOST = 65_000  # characters; GitHub takes 65,536
_MOST_BYTES = 1_000_000  # of a job's summary; GitHub takes 1 MiB a step, and shows nothing of a longer one
_MOST_READ = 64 << 20
_FENCE = re.compile(r" {0,3}(`{3,})(.*)")
_PAGES = 20  # of a hundred each
_SECONDS = 30
_FORBIDDEN = (401, 403, 404)  # 404 is how a token without a permission is answered, too


class Done(StrEnum):
    """What became of a text."""

    OPENED = "opened"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    CLOSED = "closed"
    NOTHING = "nothing to close"


class MayNotWriteError(EnvironmentFailedError):
    """The token may not write there, as in a pull request from a fork."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What became of a text, and the address where a person sees it; empty where there is none."""

    done: Done
    address: str = ""


def marker(name: str) -> str:
    """Return the marker of a name.

    Raises:
        UsageError: the name has other signs than letters, digits, dots and dashes.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise UsageError(f"not a marker: {name!r}", hint="letters, digits, dots and dashes: --marker nightly")
    return f"<!-- repromatrix: {name} -->"


def joined(files: Iterable[Path]) -> str:
    """Return what files hold: Markdown as it is, anything else as a block of code; one that is not there is named."""
    return "".join(map(_shown, files))


def _shown(path: Path) -> str:
    try:
        text = resources.read_regular(path, most=_MOST_READ, links=True).decode("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    if not text:
        return f"**{harmless.markdown(str(path))}** was not made: see the failed steps of this job.\n\n"
    if path.suffix == ".md":
        return text
    # Longer than any in the text, so that no line of it ends the block.
    fence = "`" * (1 + max(map(len, re.findall("`{2,}", text)), default=2))
    return f"{fence}text\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}\n\n"


def summarise(place: Path, text: str) -> None:
    """Add a text to a job's summary; what is too long is cut at a whole line, and says so at its head."""
    whole = text.encode()
    if len(whole) > _MOST_BYTES:
        head = f"> **Cut**: {len(whole)} bytes are more than a job summary holds. Only the beginning follows.\n\n"
        whole = head.encode() + whole[:_MOST_BYTES].rpartition(b"\n")[0] + b"\n"
    with place.open("ab") as file:
        file.write(whole)


class Forge:
    """A repository and who writes to it."""

    def __init__(self, repository: str, token: str, *, api: str = API, author: str = ACTIONS) -> None:
        """Begin; nothing is asked yet.

        Args:
            repository: OWNER/NAME.
            token: of an account that may write issues or comments of pull requests.
            api: the address of the API; that of GitHub Enterprise is another.
            author: the account whose texts are edited.

        Raises:
            UsageError: not OWNER/NAME, or no token.
        """
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise UsageError(f"not a repository: {repository!r}", hint="set GITHUB_REPOSITORY to OWNER/NAME")
        if not token:
            raise UsageError("there is no token to write with", hint="set GITHUB_TOKEN; a workflow's is github.token")
        self._place, self._author = f"{api.rstrip('/')}/repos/{repository}", author
        self._session = requests.Session()
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {token}",
                "X-GitHub-Api-Version": "2022-11-28",
            }
        )

    def issue(self, name: str, title: str, text: str) -> Posted:
        """Keep one open issue with that marker: open it, or edit it in place.

        Raises:
            MayNotWriteError: the token may not.
            EnvironmentFailedError: the API does not answer as it should.
        """
        return self._keep("/issues", name, {"title": title, "body": _body(text, name)}, {})

    def pull(self, name: str, title: str, text: str, *, head: str, base: str) -> Posted:
        """Keep one open pull request with that marker, from the branch `head` into `base`: open or edit it.

        Raises:
            MayNotWriteError: the token may not.
            EnvironmentFailedError: the API does not answer as it should.
        """
        words = {"title": title, "body": _body(text, name)}
        return self._keep("/pulls", name, words, {"head": head, "base": base})

    def over(self, name: str, text: str, *, pull: bool = False) -> Posted:
        """Close the open issue, or pull request, with that marker, if there is one, with a last text.

        Raises:
            MayNotWriteError: the token may not.
            EnvironmentFailedError: the API does not answer as it should.
        """
        place = "/pulls" if pull else "/issues"
        found = self._own(f"{place}?state=open", name)
        if found is None:
            return Posted(done=Done.NOTHING)
        change = {"body": _body(text, name), "state": "closed", **({} if pull else {"state_reason": "completed"})}
        return _posted(Done.CLOSED, self._ask("PATCH", f"{place}/{found['number']}", change))

    def comment(self, name: str, number: int, text: str) -> Posted:
        """Keep one comment with that marker in an issue or a pull request: write it, or edit it in place.

        Raises:
            MayNotWriteError: the token may not.
            EnvironmentFailedError: the API does not answer as it should.
        """
        body = _body(text, name)
        found = self._own(f"/issues/{number}/comments", name)
        if found is None:
            return _posted(Done.OPENED, self._ask("POST", f"/issues/{number}/comments", {"body": body}))
        if found.get("body") == body:
            return _posted(Done.UNCHANGED, found)
        return _posted(Done.UPDATED, self._ask("PATCH", f"/issues/comments/{found['id']}", {"body": body}))

    def _keep(self, place: str, name: str, words: Mapping[str, str], first: Mapping[str, str]) -> Posted:
        """Open what holds `words`, with `first` beside them, or edit it in place."""
        found = self._own(f"{place}?state=open", name)
        if found is None:
            return _posted(Done.OPENED, self._ask("POST", place, {**words, **first}))
        if all(found.get(key) == word for key, word in words.items()):
            return _posted(Done.UNCHANGED, found)
        return _posted(Done.UPDATED, self._ask("PATCH", f"{place}/{found['number']}", words))

    def _own(self, place: str, name: str) -> dict[str, Any] | None:
        """Return the first text of ours with the marker."""
        wanted = marker(name)
        ours = (each for each in self._pages(place) if (each.get("user") or {}).get("login") == self._author)
        return next((each for each in ours if (each.get("body") or "").rstrip().endswith(wanted)), None)

    def _pages(self, place: str) -> Iterator[dict[str, Any]]:
        sign = "&" if "?" in place else "?"
        for page in range(1, _PAGES + 1):
            found = self._ask("GET", f"{place}{sign}per_page=100&page={page}")
            if not isinstance(found, list):
                raise _odd("no list")
            yield from (each for each in found if isinstance(each, dict))
            if len(found) < 100:  # noqa: PLR2004 - a page
                return

    def _ask(self, method: str, place: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._session.request(method, f"{self._place}{place}", json=body, timeout=_SECONDS)
            found = answer.json() if answer.content else None
        except (requests.RequestException, ValueError) as error:
            raise EnvironmentFailedError(
                f"GitHub's API does not answer ({type(error).__name__})", hint="try again; the summary has the text"
            ) from error
        if answer.ok and (method == "GET" or isinstance(found, dict)):
            return found
        if answer.ok:
            raise _odd("nothing of what it holds now")
        told = str(found.get("message", "")) if isinstance(found, dict) else ""
        kind = MayNotWriteError if answer.status_code in _FORBIDDEN else EnvironmentFailedError
        raise kind(
            f"GitHub's API answers {answer.status_code} to {method} {place.partition('?')[0]}: {told[:200]}",
            hint="give the job the permission it needs (issues: write, or pull-requests: write); to open a pull "
            "request, the repository's settings must let Actions do so too",
        )


def _odd(what: str) -> EnvironmentFailedError:
    return EnvironmentFailedError(
        f"GitHub's API answers with {what}", hint="look whether GITHUB_API_URL is its address"
    )


def _posted(done: Done, found: Mapping[str, Any]) -> Posted:
    return Posted(done=done, address=str(found.get("html_url", "")))


def _body(text: str, name: str) -> str:
    """Return a text with its marker, cut where it is too long: at a whole line, if it has any, and at no open block."""
    if len(text) > _MOST:
        text = text[:_MOST].rpartition("\n")[0] or text[:_MOST]
        end = "\n".join(filter(None, (text, _open_fence(text))))
        text = f"{end}\n\n**Cut**: the rest is in the summary of the run."
    return f"{text.rstrip()}\n\n{marker(name)}"


def _open_fence(text: str) -> str:
    """Return what ends the block of code in which a text ends; empty where it ends in none."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[1]
        elif found and found[1].startswith(fence) and not found[2].strip():
            fence = ""
    return fence
