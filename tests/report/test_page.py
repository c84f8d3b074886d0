"""The page as a browser takes it: text stays text, nothing is fetched, every link and label has its target."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from runner.report.render import html, markdown, write
from runner.report.view import build
from runner.results.record import Outcome

HOSTILE = "</style></script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}|`*_\n## x"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, attribute):
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


@pytest.fixture
def hostile(builder):
    words = {"id": f"mazur/{HOSTILE}/x", "environment": HOSTILE, "variant": HOSTILE, "version": HOSTILE}
    records = [
        *builder.run(),
        replace(builder.record(outcome=Outcome.FAILED, reason=HOSTILE, **words), log=HOSTILE),
        replace(
            builder.record(**words | {"id": "b" + HOSTILE}),
            fingerprint={"kernels": {HOSTILE: HOSTILE}, "threads": HOSTILE},
        ),
    ]
    data = builder.table()
    data["source"] = HOSTILE
    manifest = builder.manifest(records, tables=[builder.published(data)], left_out=[(HOSTILE, HOSTILE)])
    return build(replace(manifest, profile=HOSTILE), records, (HOSTILE,))


def test_hostile_names_reasons_and_logs_stay_text(builder, hostile):
    records = builder.run()
    plain = Page(html(build(builder.manifest(records), records, ())))
    page = Page(html(hostile))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"h3", "ul", "pre", "dl", "dt", "dd"}
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "49" not in re.findall(r"\b49\b", " ".join(page.text[:40]))
    assert sum(HOSTILE.splitlines()[0] in text for text in page.text) > 5


def test_hostile_text_does_not_break_a_markdown_table(hostile):
    text = markdown(hostile)
    assert not re.search(r"(?<!\\)<", text)
    assert "\n## x" not in text
    columns = {line.count(" | ") for line in text.splitlines() if line.startswith("| mazur/")}
    assert columns == {3}


def test_the_page_asks_for_nothing(builder):
    records = builder.run()
    text = html(build(builder.manifest(records), records, ()))
    page = Page(text)
    assert not page.all("src")
    assert not [tag for tag, _ in page.tags if tag in {"link", "img", "iframe", "object", "base"}]
    assert all(href.startswith("#") for href in page.all("href"))
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert any(each.startswith("default-src 'none'; style-src 'sha256-") for each in page.all("content"))


def test_ids_are_unique_and_every_link_leads_somewhere(builder):
    records = builder.run()
    page = Page(html(build(builder.manifest(records), records, ())))
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert {unquote(href[1:]) for href in page.all("href")} <= set(ids)
    assert {label for each in page.all("aria-labelledby") for label in each.split()} <= set(ids)
    assert {each.cell.id for each in records} <= set(ids)


def test_every_table_has_headers_and_scrolls_within_itself(builder):
    records = builder.run()
    text = html(build(builder.manifest(records), records, ()))
    assert len(re.findall(r"<table", text)) == len(
        re.findall(r'<div class="scroll[^"]*" role="region"[^>]*tabindex="0">\s*<table', text)
    )
    assert not re.search(r"<th(?![^>]*scope=)(?!ead)[ >]", text)


def test_the_dtype_stands_on_every_column(builder):
    records = builder.run()
    head = html(build(builder.manifest(records), records, ())).split("<tbody>")[0]
    assert head.count('<span class="sub">float64</span>') == 3
    assert head.count('<span class="sub">float32</span>') == 8


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_chromium_opens_it_from_disk_and_runs_only_its_own_script(hostile, tmp_path):
    write(hostile, tmp_path / "out")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
    ]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "out" / "index.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    page = Page(done.stdout)
    assert not [
        attributes for tag, attributes in page.tags if attributes.get("class") == "filter" and "hidden" in attributes
    ]
    assert "<title>owned" not in done.stdout
