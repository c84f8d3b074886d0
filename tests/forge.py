"""A GitHub of the tests' own: the few calls of issues and comments, over real HTTP."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BOT = "github-actions[bot]"


@dataclass
class Fake:
    """What the repository OWNER/NAME holds; its pull requests have numbers of their own.

    Attributes:
        may_write: whether the token may.
        has_pages: whether GitHub Pages is enabled.
        calls: methods and places, in order.
        tokens: what was sent as a token.
    """

    issues: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    may_write: bool = True
    has_pages: bool = True
    calls: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    api: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """Return what a workflow's step has."""
        return {"GITHUB_API_URL": self.api, "GITHUB_REPOSITORY": "owner/name", "GITHUB_TOKEN": "secret"}

    def add(self, number: int, body: str, login: str) -> None:
        """Let somebody write a comment."""
        new = {"id": 1000 + sum(map(len, self.comments.values())), "body": body, "user": {"login": login}}
        self.comments.setdefault(number, []).append(new)

    def answer(self, method: str, path: str, query: str, body: dict[str, Any]) -> tuple[int, Any]:  # noqa: PLR0911
        """Return a status and what the API says."""
        page = int((re.search(r"\bpage=(\d+)", query) or [0, 1])[1])
        if method != "GET" and not self.may_write:
            return 403, {"message": "Resource not accessible by integration"}
        if path == "/pages":
            return (200, {"status": "built"}) if self.has_pages else (404, {"message": "Not Found"})
        if found := re.fullmatch(r"/(issues|pulls)(?:/(\d+))?", path):
            known, number = getattr(self, found[1]), int(found[2] or 0)
            if method == "GET":
                assert "state=open" in query
                return 200, [each for each in known if each["state"] == "open"][100 * (page - 1) : 100 * page]
            if number:
                known[number - 1] |= body
                return 200, known[number - 1]
            new = {"number": len(known) + 1, "state": "open", "user": {"login": BOT}, "html_url": "http://i", **body}
            known.append(new)
            return 201, new
        if found := re.fullmatch(r"/issues/(\d+)/comments", path):
            number = int(found[1])
            if method == "GET":
                return 200, self.comments.get(number, [])[100 * (page - 1) : 100 * page]
            self.add(number, body["body"], BOT)
            return 201, self.comments[number][-1]
        if found := re.fullmatch(r"/issues/comments/(\d+)", path):
            every = [each for some in self.comments.values() for each in some]
            (comment,) = [each for each in every if each["id"] == int(found[1])]
            comment |= body
            return 200, comment
        return 404, {"message": "Not Found"}


@contextmanager
def github() -> Iterator[Fake]:
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else {}
            path, _, query = self.path.partition("?")
            assert path.startswith("/repos/owner/name"), path
            path = path.removeprefix("/repos/owner/name")
            fake.calls.append(f"{self.command} {path}")
            fake.tokens.add(self.headers["Authorization"])
            status, told = fake.answer(self.command, path, query, body)
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.api = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
