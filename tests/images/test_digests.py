"""The digests file: stable, merged, never half written, refused where it is damaged."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repromatrix.errors import UsageError
from repromatrix.images.digests import Digests, Pushed

DIGEST = f"sha256:{'d' * 64}"


def pushed(tag: str = "a" * 24, manifest: str = "1" * 64) -> Pushed:
    return Pushed(tag=tag, base_kind="local", base_digest=f"sha256:{'b' * 64}", manifest=f"sha256:{manifest}")


@pytest.fixture
def digests(tmp_path: Path) -> Digests:
    return Digests(tmp_path / "new" / "pushed-images.json")


def test_where_nothing_was_pushed_there_is_no_file(digests: Digests) -> None:
    assert digests.of("numpy-2.0-cpu") == ()


def test_what_is_recorded_is_read_beside_what_was_there(digests: Digests) -> None:
    digests.record("numpy-2.0-cpu", pushed("c" * 24))
    digests.record("torch-3.0-cpu", pushed("d" * 24))
    digests.record("numpy-2.0-cpu", pushed("a" * 24))
    assert digests.of("numpy-2.0-cpu") == (pushed("a" * 24), pushed("c" * 24))
    assert digests.of("torch-3.0-cpu") == (pushed("d" * 24),)


def test_the_order_of_pushes_leaves_no_trace(digests: Digests, tmp_path: Path) -> None:
    other = Digests(tmp_path / "other.json")
    entries = [("b", pushed("a" * 24)), ("a", pushed("c" * 24)), ("a", pushed("a" * 24))]
    for name, each in entries:
        digests.record(name, each)
    for name, each in reversed(entries):
        other.record(name, each)
    assert digests.path.read_bytes() == other.path.read_bytes()


def test_pushing_again_replaces_the_manifest(digests: Digests) -> None:
    digests.record("numpy-2.0-cpu", pushed())
    digests.record("numpy-2.0-cpu", pushed(manifest="2" * 64))
    assert digests.of("numpy-2.0-cpu") == (pushed(manifest="2" * 64),)


def test_what_is_superseded_goes_and_nothing_else(digests: Digests) -> None:
    for tag in ("a" * 24, "c" * 24):
        digests.record("numpy-2.0-cpu", pushed(tag))
    digests.record("numpy-2.0-cpu", pushed("d" * 24), instead_of=frozenset({"a" * 24}))
    assert [each.tag for each in digests.of("numpy-2.0-cpu")] == ["c" * 24, "d" * 24]


def test_a_file_that_says_the_same_is_not_written_again(digests: Digests) -> None:
    digests.record("numpy-2.0-cpu", pushed())
    before = digests.path.stat().st_ino
    digests.record("numpy-2.0-cpu", pushed())
    assert digests.path.stat().st_ino == before


def test_pushes_at_once_lose_none(digests: Digests) -> None:
    with ThreadPoolExecutor(8) as pool:  # each with a view of its own, as processes have
        list(pool.map(lambda n: Digests(digests.path).record(f"numpy-{n}-cpu", pushed()), range(24)))
    assert len(json.loads(digests.path.read_text())["images"]) == 24


def document(
    tag: object = "a" * 24, kind: object = "local", digest: object = DIGEST, manifest: object = DIGEST
) -> bytes:
    entry = {"base": {"kind": kind, "digest": digest}, "manifest": manifest}
    return json.dumps({"format": 1, "images": {"numpy-2.0-cpu": {tag: entry}}}).encode()


DAMAGED = [
    b"", b"{", b"\xff\xfe", b"[]", b"{}", b'{"images": []}', b'{"images": {"numpy-2.0-cpu": []}}',
    document(tag="latest"), document(kind="mine"), document(digest="sha256:1"), document(manifest="latest"),
    document(manifest=5), document(manifest=None), document().replace(b'"manifest"', b'"other"'),
]  # fmt: skip


def test_a_whole_file_is_read(digests: Digests) -> None:
    digests.path.parent.mkdir()
    digests.path.write_bytes(document())
    assert [each.manifest for each in digests.of("numpy-2.0-cpu")] == [DIGEST]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_refused_by_name_and_kept(digests: Digests, content: bytes) -> None:
    digests.path.parent.mkdir()
    digests.path.write_bytes(content)
    for use in (lambda: digests.of("numpy-2.0-cpu"), lambda: digests.record("numpy-2.0-cpu", pushed())):
        with pytest.raises(UsageError, match="not a digests file") as caught:
            use()
        assert caught.value.where == str(digests.path)
        assert "repromatrix push" in caught.value.hint
    assert digests.path.read_bytes() == content


def test_a_file_of_a_newer_release_is_refused_and_kept(digests: Digests) -> None:
    digests.record("numpy-2.0-cpu", pushed())
    content = digests.path.read_bytes().replace(b'"format": 1', b'"format": 2')
    digests.path.write_bytes(content)
    with pytest.raises(UsageError, match="format 2"):
        digests.record("numpy-2.0-cpu", pushed("c" * 24))
    assert digests.path.read_bytes() == content
