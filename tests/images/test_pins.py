"""Pins against a real registry; what only other registries do (tokens, pages, lies) against one in memory."""

import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests

from repromatrix.cli.main import run
from repromatrix.engines.credentials import Credentials, credentials
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import pins
from repromatrix.images.pins import State
from repromatrix.images.registry import Reference, Registry
from tests.registry import RegistryServer, serving

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
PASSWORD = "a password that no message may tell"  # noqa: S105
LOGIN = Credentials(username="reader", password=PASSWORD)
NOWHERE = "sha256:" + "0" * 64


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def push(address: str, tag: str, *, content: str = "", platform: str = "amd64", repository: str = "python") -> str:
    """Put an index of one image without layers under a tag; return the index's digest."""
    with requests.Session() as session:
        session.auth = (LOGIN.username, LOGIN.password)
        base = f"http://{address}/v2/{repository}"
        config = json.dumps({"architecture": platform, "os": "linux", "author": content}).encode()
        place = session.post(f"{base}/blobs/uploads/").headers["Location"]
        assert session.put(place, params={"digest": digest_of(config)}, data=config).status_code == 201
        described = {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}).encode()
        _put(session, base, digest_of(manifest), MANIFEST, manifest)
        image = {
            "mediaType": MANIFEST,
            "digest": digest_of(manifest),
            "size": len(manifest),
            "platform": {"os": "linux", "architecture": platform},
        }
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [image]}).encode()
        _put(session, base, tag, INDEX, index)
        return digest_of(index)


def _put(session: requests.Session, base: str, reference: str, kind: str, content: bytes) -> None:
    answer = session.put(f"{base}/manifests/{reference}", data=content, headers={"Content-Type": kind})
    assert answer.status_code == 201, answer.text


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RegistryServer]:
    with serving(tmp_path / "registry") as running:
        yield running


BASES = """\
# A remark that stays.
format: 1
bases:
  bookworm:
    suite: bookworm
    pythons:
      "3.9": {{registry: {address}/python:3.9.7-slim, digest: {old}}} # and this one
      "3.11":
        registry: {address}/python:3.11.2-slim
        digest: {current}
        packages: [python3]   # spaced as it was
"""


@pytest.fixture
def listed(server: RegistryServer, tmp_path: Path, monkeypatch) -> Path:
    """A list of two bases, both as the registry has them."""
    text = BASES.format(
        address=server.address,
        old=push(server.address, "3.9.7-slim", content="old"),
        current=push(server.address, "3.11.2-slim", content="current"),
    )
    path = tmp_path / "bases.yaml"
    path.write_text(text)
    monkeypatch.setattr(bases, "entries_path", lambda: path)
    return path


def verified(capsys, *more: str) -> tuple[int, list[str]]:
    code = run(["pins", "verify", *more])
    return code, capsys.readouterr().out.splitlines()


def test_pins_that_hold_are_the_same(listed: Path, capsys) -> None:
    assert listed.is_file()
    code, lines = verified(capsys)
    assert (code, [line.split()[0] for line in lines]) == (0, ["same", "same"])


def test_a_tag_that_names_another_digest_has_moved_while_its_pin_can_still_be_pulled(
    listed: Path, server: RegistryServer, capsys
) -> None:
    new = push(server.address, "3.9.7-slim", content="a security fix")
    code, lines = verified(capsys)
    assert code == 1
    assert lines[0].startswith(f"moved    {server.address}/python:3.9.7-slim: pinned ")
    assert f"the tag names {new} today; the pin can still be pulled" in lines[0]
    assert lines[1].startswith("same")
    assert new not in listed.read_text()


def test_a_pin_that_the_registry_no_longer_has_is_gone(listed: Path, server: RegistryServer, capsys) -> None:
    old = bases.entries()[0].digest
    new = push(server.address, "3.9.7-slim", content="a rebuild")
    assert requests.delete(f"http://{server.address}/v2/python/manifests/{old}", timeout=60).status_code == 202
    code, lines = verified(capsys, "--json")
    document = json.loads("\n".join(lines))
    assert code == 1
    assert [each["state"] for each in document] == ["gone", "same"]
    assert (document[0]["digest"], document[0]["tag_digest"]) == (old, new)
    assert listed.is_file()


def test_a_registry_that_does_not_answer_leaves_the_pins_unknown(listed: Path, server: RegistryServer, capsys) -> None:
    server.stop()
    code, lines = verified(capsys)
    assert code == 4
    assert lines[0] == (
        f"unknown  {server.address}/python:3.9.7-slim: {server.address} does not answer (no connection)"
    )
    server.start()
    assert verified(capsys)[0] == 0
    assert listed.is_file()


def test_only_the_bases_of_a_matrix_are_asked_for(listed: Path, write_matrix, capsys) -> None:
    assert listed.is_file()
    code, lines = verified(capsys, "--matrix", str(write_matrix()))
    assert code == 0
    assert [line.split("/")[1].split()[0] for line in lines] == ["python:3.11.2-slim"]


# Newer pins


def refreshed(capsys, *more: str) -> tuple[int, str, str]:
    code = run(["pins", "refresh", *more])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_newest_patch_release_in_the_same_shape_is_proposed_and_nothing_written(
    listed: Path, server: RegistryServer, capsys
) -> None:
    for other in ("3.11.10", "3.11.12-alpine", "3.12.1-slim", "3.11.13rc1-slim", "3.11-slim"):
        push(server.address, other, content=other)
    push(server.address, "3.11.9-slim", content="nine")
    new = push(server.address, "3.11.10-slim", content="ten is more than nine")
    before = listed.read_text()
    code, out, _ = refreshed(capsys)
    assert code == 0
    assert f"+        registry: {server.address}/python:3.11.10-slim\n+        digest: {new}\n" in out
    assert len([line for line in out.splitlines() if line.startswith("+ ")]) == 2
    assert listed.read_text() == before


def test_what_is_written_is_the_proposal_and_every_remark_and_space_stays(
    listed: Path, server: RegistryServer, capsys
) -> None:
    before = listed.read_text()
    old, current = (each.digest for each in bases.entries())
    first = push(server.address, "3.9.21-slim", content="newer")
    second = push(server.address, "3.11.3-slim", content="newer too")
    code, out, _ = refreshed(capsys, "--write")
    assert code == 0
    assert out
    expected = before.replace("3.9.7-slim", "3.9.21-slim").replace(old, first)
    assert listed.read_text() == expected.replace("3.11.2-slim", "3.11.3-slim").replace(current, second)
    assert refreshed(capsys, "--write")[:2] == (0, "")
    assert verified(capsys)[0] == 0


def test_a_tag_that_moved_gets_its_new_digest(listed: Path, server: RegistryServer, capsys) -> None:
    new = push(server.address, "3.9.7-slim", content="a rebuild")
    assert refreshed(capsys, "--write")[0] == 0
    assert bases.entries()[0].digest == new
    assert listed.is_file()


def test_an_image_for_another_platform_is_not_pinned(listed: Path, server: RegistryServer, capsys) -> None:
    push(server.address, "3.9.8-slim", platform="arm64")
    new = push(server.address, "3.11.3-slim", content="newer")
    code, out, err = refreshed(capsys, "--write")
    assert code == 4
    assert "python:3.9.8-slim has no image for linux/amd64" in err
    assert new in out
    assert [each.registry.rpartition(":")[2] for each in bases.entries()] == ["3.9.7-slim", "3.11.3-slim"]
    assert listed.is_file()


def test_a_tag_without_a_patch_release_cannot_be_refreshed(server: RegistryServer) -> None:
    entry = bases.BaseEntry(
        name="b", python="3.9", suite="s", registry=f"{server.address}/python:3.9", digest=NOWHERE, packages=()
    )
    with pytest.raises(EnvironmentFailedError, match=r"the tag 3\.9 has no patch release of Python 3\.9"):
        pins.newest(entry)


def test_a_release_that_the_registry_withdrew_is_not_replaced_by_an_older_one(server: RegistryServer) -> None:
    push(server.address, "3.9.1-slim")
    entry = bases.BaseEntry(
        name="b", python="3.9", suite="s", registry=f"{server.address}/python:3.9.7-slim", digest=NOWHERE, packages=()
    )
    with pytest.raises(EnvironmentFailedError, match=r"has no .*python:3\.9\.7-slim"):
        pins.newest(entry)


# Who we are


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[RegistryServer]:
    with serving(tmp_path / "locked", users={LOGIN.username: LOGIN.password}) as running:
        yield running


def log_in(folder: Path, monkeypatch, address: str, password: str) -> None:
    """Leave behind what `docker login` does."""
    folder.mkdir()
    auth = base64.b64encode(f"{LOGIN.username}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def test_what_docker_login_left_behind_opens_the_registry(locked, tmp_path: Path, monkeypatch) -> None:
    pushed = push(locked.address, "1")
    log_in(tmp_path / "docker", monkeypatch, locked.address, PASSWORD)
    with Registry(locked.address) as registry:
        assert registry.digest("python", "1") == pushed
        assert registry.tags("python") == ("1",)


@pytest.mark.parametrize("password", [None, "a wrong password"])
def test_without_the_right_password_the_next_step_is_to_log_in(
    locked, tmp_path: Path, monkeypatch, password: str | None
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    if password:
        log_in(tmp_path / "docker", monkeypatch, locked.address, password)
    with Registry(locked.address) as registry, pytest.raises(EnvironmentFailedError, match="not let us see") as caught:
        registry.digest("python", "1")
    assert caught.value.hint == f"docker login {locked.address}"
    assert "wrong password" not in str(caught.value)


def test_a_credential_helper_is_asked_as_docker_asks_it(tmp_path: Path, monkeypatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\necho \'{"ServerURL": "r.test", "Username": "<token>", "Secret": "abc"}\'\n')
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credHelpers": {"r.test": "test"}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = credentials("r.test")
    assert found == Credentials(identity_token="abc")  # noqa: S106
    assert "abc" not in repr(found)
    assert credentials("other.test") is None


def test_a_credential_helper_that_fails_is_told_without_what_it_printed(tmp_path: Path, monkeypatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(f"#!/bin/sh\necho '{PASSWORD}'\nexit 1\n")
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "test"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(EnvironmentFailedError, match=r"credential helper failed") as caught:
        credentials("r.test")
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


# A registry in memory


class _Memory(BaseHTTPRequestHandler):
    """Answers what `answers` says for a path: status, headers, body."""

    def _answer(self) -> None:
        self.server.heard.append((self.command, self.path, self.headers.get("Authorization", "")))
        length = int(self.headers.get("Content-Length") or 0)
        if length:
            self.server.heard.append(self.rfile.read(length).decode())
        status, headers, body = self.server.answer(self.path, self.headers.get("Authorization", ""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def memory() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Memory)
    server.heard, server.address = [], f"127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def always(status: int, body: bytes = b"", **headers: str):
    return lambda *_: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def nobody(_: str) -> None:
    return None


def token_server(memory: ThreadingHTTPServer, scheme: str = "http"):
    realm = f"{scheme}://{memory.address}/token?from=here"

    def answer(path: str, authorization: str):
        if path.startswith("/token"):
            return 200, {}, b'{"token": "let me in"}'
        if authorization == "Bearer let me in":
            return 200, {"Docker-Content-Digest": NOWHERE}, b""
        return 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="memory"'}, b""

    return answer


@pytest.mark.parametrize("login", [None, LOGIN])
def test_a_registry_that_wants_a_token_gets_one_for_reading_only(memory, login: Credentials | None) -> None:
    memory.answer = token_server(memory)
    with Registry(memory.address, lambda _: login) as registry:
        assert registry.digest("library/python", "3") == NOWHERE
        assert registry.digest("library/python", "4") == NOWHERE
    (method, path, authorization) = memory.heard[1]
    assert (method, len(memory.heard)) == ("GET", 4)  # the token serves the second question too
    assert path == "/token?from=here&service=memory&scope=repository%3Alibrary%2Fpython%3Apull"
    expected = base64.b64encode(f"reader:{PASSWORD}".encode()).decode()
    assert authorization == (f"Basic {expected}" if login else "")


def test_an_identity_token_is_exchanged_and_never_in_an_address(memory) -> None:
    memory.answer = token_server(memory)
    with Registry(memory.address, lambda _: Credentials(identity_token="secret")) as registry:  # noqa: S106
        assert registry.digest("python", "3") == NOWHERE
    assert memory.heard[1][0] == "POST"
    assert "secret" not in memory.heard[1][1]
    assert "grant_type=refresh_token" in memory.heard[2]
    assert "refresh_token=secret" in memory.heard[2]


def test_a_password_is_not_sent_where_anybody_could_read_it(memory) -> None:
    asked = []
    realm = 'Bearer realm="http://tokens.example/token",service="x"'
    memory.answer = always(401, WWW_Authenticate=realm)
    with (
        Registry(memory.address, lambda host: asked.append(host) or LOGIN) as registry,
        pytest.raises(EnvironmentFailedError, match="a connection that anybody can read"),
    ):
        registry.digest("python", "3")
    assert len(memory.heard) == 1


def test_a_netrc_file_is_nobodys_login(memory, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    memory.answer = always(200, Docker_Content_Digest=NOWHERE)
    with Registry(memory.address, nobody) as registry:
        registry._access._session.trust_env = True  # as for a registry elsewhere
        registry.digest("python", "3")
    assert memory.heard == [("HEAD", "/v2/python/manifests/3", "")]


def test_every_page_of_tags_is_read(memory) -> None:
    pages = {
        "/v2/python/tags/list?n=1000": (
            200,
            {"Link": '</v2/python/tags/list?last=b>; rel="next"'},
            b'{"tags":["a","b"]}',
        ),
        "/v2/python/tags/list?last=b": (200, {}, b'{"tags": ["c"]}'),
    }
    memory.answer = lambda path, _: pages[path]
    with Registry(memory.address, nobody) as registry:
        assert registry.tags("python") == ("a", "b", "c")


def test_a_digest_that_is_not_told_is_computed(memory) -> None:
    memory.answer = always(200, b'{"schemaVersion": 2}')
    with Registry(memory.address, nobody) as registry:
        assert registry.digest("python", "3") == digest_of(b'{"schemaVersion": 2}')


INDEX_BODY = b'{"manifests": []}'
CIRCLE = '</v2/python/tags/list?n=1000>; rel="next"'
WRONG = {
    "bytes of another digest": ("manifest", always(200, b"{}", Docker_Content_Digest=NOWHERE), "sent other bytes"),
    "no manifest": ("manifest", always(200, b"[]"), "no manifest"),
    "no list of tags": ("tags", always(200, b'{"tags": 3}'), "no list of tags"),
    "pages in a circle": ("tags", always(200, b'{"tags": []}', Link=CIRCLE), "without end"),
    "a page elsewhere": (
        "tags",
        always(200, b'{"tags": []}', Link='<http://x.test/>; rel="next"'),
        "sends us elsewhere",
    ),
    "too many requests": ("tags", always(429), "too many requests"),
    "a defect": ("tags", always(500), "answers 500"),
    "a flood": ("manifest", always(200, b" " * (17 << 20)), "more than 16 MiB"),
    "another way to log in": ("tags", always(401, WWW_Authenticate="Negotiate"), "way to log in that is not known"),
}


@pytest.mark.parametrize(("question", "answer", "message"), WRONG.values(), ids=WRONG)
def test_what_a_registry_should_not_answer_is_refused(memory, question: str, answer, message: str) -> None:
    memory.answer = answer
    ask = {"manifest": lambda r: r.manifest("python", "3"), "tags": lambda r: r.tags("python")}[question]
    with Registry(memory.address, nobody) as registry, pytest.raises(EnvironmentFailedError, match=message) as caught:
        ask(registry)
    assert caught.value.what.startswith(memory.address)
    assert caught.value.hint


def test_what_came_under_a_digest_must_have_it(memory) -> None:
    memory.answer = always(200, b"{}")
    with Registry(memory.address, nobody) as registry, pytest.raises(EnvironmentFailedError, match="other bytes"):
        registry.manifest("python", NOWHERE)


def test_what_is_not_there_is_none_and_no_error(memory) -> None:
    memory.answer = always(404)
    with Registry(memory.address, nobody) as registry:
        assert registry.digest("python", "3") is None
        assert registry.manifest("python", "3") is None
        assert registry.tags("python") == ()


def test_a_registry_elsewhere_is_never_asked_in_the_clear() -> None:
    with Registry("127.0.0.1.test:5000", nobody) as registry:
        assert registry._access._base == "https://127.0.0.1.test:5000"


REFERENCES = {
    "python:3.11-slim": ("docker.io", "library/python", "3.11-slim"),
    "docker.io/python": ("docker.io", "library/python", "latest"),
    "someone/python:1": ("docker.io", "someone/python", "1"),
    "localhost/python:1": ("localhost", "python", "1"),
    "localhost:5000/a/b:1": ("localhost:5000", "a/b", "1"),
    "registry.test/python": ("registry.test", "python", "latest"),
}


@pytest.mark.parametrize(("text", "expected"), REFERENCES.items())
def test_a_reference_is_read_as_the_docker_command_reads_it(text: str, expected: tuple[str, str, str]) -> None:
    found = Reference.parse(text)
    assert (found.host, found.repository, found.tag) == expected


def test_an_answer_for_one_pin_says_nothing_about_another(server: RegistryServer) -> None:
    there = push(server.address, "3.9.7-slim")
    entry = bases.BaseEntry(
        name="b", python="3.9", suite="s", registry=f"{server.address}/python:3.9.7-slim", digest=there, packages=()
    )
    states = [pins.verify(each).state for each in (entry, replace(entry, digest=NOWHERE))]
    assert states == [State.SAME, State.GONE]
