"""The user's pip configuration, said in uv's words."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import sources
from repromatrix.images.sources import PackageSources, parse

NOTHING = PackageSources(
    index=None, no_index=False, extra_indexes=(), find_links=(), trusted_hosts=(), certificates=None
)


PYPI = sources._PYPI


def test_an_unconfigured_pip_asks_for_nothing_special() -> None:
    assert parse("") == NOTHING
    assert parse("").uv_flags() == ["--index-strategy", "unsafe-first-match", "--default-index", PYPI]


def test_a_configuration_in_full() -> None:
    found = parse(
        "global.cert='/etc/ssl/own.crt'\n"
        "global.extra-index-url='https://one/simple https://two/simple'\n"
        "global.find-links='\\n/opt/wheels\\n/opt/more'\n"  # a list over several lines, as pip prints it
        "global.index-url='https://mirror/simple'\n"
        "global.timeout='60'\n"
        "global.trusted-host='mirror'\n"
    )
    assert found == PackageSources(
        index="https://mirror/simple",
        no_index=False,
        extra_indexes=("https://one/simple", "https://two/simple"),
        find_links=("/opt/wheels", "/opt/more"),
        trusted_hosts=("mirror",),
        certificates="/etc/ssl/own.crt",
    )
    assert found.uv_flags()[2:] == [
        *("--index", "https://mirror/simple", "--index", "https://one/simple"),
        *("--default-index", "https://two/simple"),
        *("--find-links", "/opt/wheels", "--find-links", "/opt/more"),
        *("--allow-insecure-host", "mirror"),
    ]


SCOPES = [
    ("global.index-url='g'\n:env:.index-url='e'\ndownload.index-url='d'", "e"),
    (":env:.index-url='e'\nglobal.index-url='g'", "e"),
    ("install.index-url='i'\nglobal.index-url='g'", "i"),
    ("download.index-url='d'\ninstall.index-url='i'", "d"),
    ("freeze.index-url='f'", None),  # another command's section is not ours
]


@pytest.mark.parametrize(("listing", "index"), SCOPES)
def test_a_variable_wins_over_a_section_and_that_over_global(listing: str, index: str | None) -> None:
    assert parse(listing).index == index


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("1", True), ("Yes", True), ("0", False), ("false", False)]
)
def test_without_an_index_uv_asks_none_either(value: str, expected: bool) -> None:
    found = parse(f"global.no-index='{value}'\nglobal.index-url='https://mirror'\nglobal.extra-index-url='https://one'")
    assert found.no_index is expected
    assert ("--no-index" in found.uv_flags()) is expected
    assert ("https://mirror" in found.uv_flags()) is not expected
    assert ("https://one" in found.uv_flags()) is not expected


def test_the_best_version_of_all_counts_only_if_that_is_asked_for() -> None:
    assert "unsafe-best-match" not in parse("").uv_flags()
    assert parse("").uv_flags(best=True)[:2] == ["--index-strategy", "unsafe-best-match"]


def test_an_index_that_is_asked_last_comes_after_those_of_the_user_and_is_not_named_twice() -> None:
    found = parse("global.index-url='https://mirror'\nglobal.extra-index-url='https://one'")
    assert found.uv_flags(last="https://own")[-2:] == ["--default-index", "https://own"]
    assert found.uv_flags(last="https://one") == found.uv_flags()


@given(value=st.text())
def test_whatever_a_value_holds_is_read_back(value: str) -> None:
    assert parse(f"global.index-url={value!r}").index == value


@given(text=st.text())
def test_no_listing_stops_us(text: str) -> None:
    parse(text)
    parse(f"global.index-url={text}")


def test_a_folder_of_wheels_is_relative_to_where_the_user_stands() -> None:
    assert parse("global.find-links='wheels https://host/wheels'").uv_flags()[4:] == [
        *("--find-links", str(Path.cwd() / "wheels")),
        *("--find-links", "https://host/wheels"),
    ]


def test_uv_gets_the_certificates_and_none_of_its_own_variables(monkeypatch) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "https://elsewhere")
    monkeypatch.setenv("SOMETHING", "else")
    environment = parse("global.cert='/etc/ssl/own.crt'").uv_environment()
    assert environment["SSL_CERT_FILE"] == "/etc/ssl/own.crt"
    assert environment["SOMETHING"] == "else"
    assert "UV_INDEX_URL" not in environment


def test_a_pip_that_cannot_read_its_configuration_is_told(monkeypatch) -> None:
    done = subprocess.CompletedProcess([], 1, "", "ERROR: pip.conf: contains no section headers")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    sources.configured.cache_clear()
    with pytest.raises(EnvironmentFailedError, match="contains no section headers") as caught:
        sources.configured()
    assert "pip config debug" in caught.value.hint


@pytest.fixture(autouse=True)
def _ask_pip_again():
    yield
    sources.configured.cache_clear()


def test_pip_is_asked_so_that_its_own_rules_hold(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror/simple\nfind-links =\n  /a\n  /b\n")
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", "/etc/own.crt")
    sources.configured.cache_clear()
    found = sources.configured()
    assert (found.index, found.find_links, found.certificates) == (
        "https://mirror/simple",
        ("/a", "/b"),
        "/etc/own.crt",
    )
