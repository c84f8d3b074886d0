"""The browser's driver: whatever the browser does, a wait ends and says for what it was; nothing stays behind."""

import json
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.report.browser import chromium as driver
from tests.report.browser.chromium import Page, chromium

EVENT = b'{"method": "Network.dataReceived", "params": {}}\0'


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", 0.2)


@pytest.fixture
def pipes():
    """The two pipes to a browser that is not there: its end and ours of each."""
    ends = [*os.pipe(), *os.pipe()]
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


@pytest.mark.usefixtures("impatient")
def test_a_silent_browser_is_given_up_with_what_was_asked_of_it(pipes):
    _, command, answer, _ = pipes
    with pytest.raises(TimeoutError, match=r"did not answer Target\.createTarget in 0\.2 s"):
        Page(command, answer)


@pytest.mark.usefixtures("impatient")
def test_a_browser_that_tells_everything_but_the_answer_is_given_up(pipes):
    _, command, answer, telling = pipes
    enough = threading.Event()

    def tell():
        while not enough.wait(0.01):
            os.write(telling, EVENT)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        with pytest.raises(TimeoutError, match=r"Target\.createTarget in 0\.2 s"):
            Page(command, answer)
    finally:
        enough.set()
        teller.join()


@pytest.mark.usefixtures("impatient")
def test_a_browser_that_reads_nothing_is_given_up(pipes):
    _, command, answer, telling = pipes
    results = [{"targetId": "t"}, {"sessionId": "s"}, {}, {}, {}, {}]
    for number, result in enumerate(results, start=1):
        os.write(telling, json.dumps({"id": number, "result": result}).encode() + b"\0")
    page = Page(command, answer)
    with pytest.raises(TimeoutError, match=r"did not read Runtime\.evaluate"):
        page.run("x" * (1 << 21))


def test_a_page_that_is_not_there_is_an_error_at_once(page, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.html.*ERR_FILE_NOT_FOUND"):
        page.open(tmp_path / "gone.html")


@pytest.mark.usefixtures("browser")
def test_it_leaves_nothing_among_the_temporary_files(tmp_path_factory, monkeypatch):
    temporary, folder = tmp_path_factory.mktemp("t"), tmp_path_factory.mktemp("f")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with chromium(folder) as page:
        assert page.run("1 + 1") == 2
        assert [each.name for each in Path(temporary).glob("*/org.chromium.Chromium.*")] != []
    assert list(temporary.iterdir()) == []
