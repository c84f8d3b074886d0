"""The page as a browser takes it: text stays text, nothing is fetched, every link and label has its target."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from repromatrix.report.page import data, embedded
from repromatrix.report.render import html, markdown
from repromatrix.report.sections.cells import command
from repromatrix.results.accepted import accept
from repromatrix.results.record import Outcome
from tests import values
from tests.report.reports import build

HOSTILE = "</style></script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}|`*_\n## x"


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
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {
        "h3",
        "ul",
        "pre",
        "dl",
        "dt",
        "dd",
        "div",
    }
    assert sum(tag == "script" for tag, _ in page.tags) == sum(tag == "script" for tag, _ in plain.tags)
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
    # Names of XML and the one address in a licence notice are no requests; a browser test watches the real ones.
    known = r"http-equiv|http://www\.w3\.org/[\w/]+|https://d3js\.org|\^\(blob\|data\|file\|http\|https\)"
    assert "http" not in re.sub(known, "", text)
    assert not re.search(r"unsafe-|\*|data:|blob:", page.all("content")[1])
    assert any(each.startswith("default-src 'none'; style-src 'sha256-") for each in page.all("content"))


def test_ids_are_unique_and_every_link_leads_somewhere(builder):
    records = builder.run()
    page = Page(html(build(builder.manifest(records), records, ())))
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert {unquote(href[1:]) for href in page.all("href")} <= set(ids)
    assert {label for each in page.all("aria-labelledby") for label in each.split()} <= set(ids)
    assert {each.cell.id for each in records} <= set(ids)


def test_the_name_of_every_weight_stands_where_its_value_does(builder):
    found = values.trajectory((0.5, 0.25), [[0.7]] * 3, hidden=[[1.0], [2.0]], output=[[4.0, 8.0]])
    record = replace(builder.record(), trajectories=(found,))
    trace = builder.trace(record)
    view = build(builder.manifest([record], tables=(), traces=[trace]), [record], (), traces={record.cell.id: trace})
    found = data(view)
    (shown,), (traced,) = found["weights"], found["traced"]["cells"]
    named = {"output_weights 1,1": 4.0, "output_weights 1,2": 8.0, "hidden_weights 1,1": 1.0, "hidden_weights 2,1": 2.0}
    assert dict(zip(found["weight_names"]["mazur"], shown, strict=True)) == named
    assert traced["weights"] == [shown, shown]


def test_every_table_has_headers_and_scrolls_within_itself(builder):
    records = builder.run()
    text = html(build(builder.manifest(records), records, ()))
    assert len(re.findall(r"<table", text)) == len(
        re.findall(r'<div class="scroll[^"]*" role="region"[^>]*tabindex="0">\s*<table', text)
    )
    assert not re.search(r"<th(?![^>]*scope=)(?!ead)[ >]", text)


def test_the_dtype_stands_on_every_column(builder):
    records = builder.run()
    text = html(build(builder.manifest(records), records, ()))
    head = text.split('<table class="numbers iterations">')[1].split("<tbody>")[0]
    assert head.count('<span class="sub">float64</span>') == 3
    assert head.count('<span class="sub">float32</span>') == 8


def test_versions_that_were_not_run_are_gaps_and_say_so(builder):
    records = [
        builder.record([loss], version=version, id=f"mazur/numpy-{version}-cpu/parallel")
        for version, loss in (("1.0", 0.5), ("2.0", 0.25), ("4.0", 0.5))
    ]
    known = tuple(("numpy", "cpu", "3.11", f"{number}.0") for number in range(1, 6))
    page = html(build(replace(builder.manifest(records, tables=()), versions=known), records, ()))
    row = page.split('<table class="lines">')[1].split("<tbody>")[1].split("</tbody>")[0]
    stops = re.findall(r'<td class="stop (\w+)">(?:<a [^>]*>)?([^<]*)', row)
    assert stops == [("same", "A"), ("other", "B"), ("gap", "not run"), ("same", "A"), ("gap", "not run")]


def test_failures_stand_before_everything_else(builder):
    records = [builder.record(outcome=Outcome.FAILED, reason="it broke"), *builder.run()]
    text = html(build(builder.manifest(records), records, ("mazur/gone/x",)))
    first = text.split('<section class="agreement"')[0]
    assert "it broke" in first
    assert "mazur/gone/x" in first
    assert "Not everything ran" not in html(build(builder.manifest(records[1:]), records[1:], ()))


def test_a_class_says_its_rule_in_words(builder):
    records = [
        builder.record([loss], id=f"mazur/{number}", dtype=dtype, options=(("update", update),))
        for number, (loss, dtype, update) in enumerate(
            [(0.5, "float64", "parallel"), (0.25, "float64", "sequential"), (0.25, "float32", "sequential")]
        )
    ]
    view = build(builder.manifest(records, tables=()), records, ())
    assert [row.rule for row in view.sections["classes"].rows] == [
        ("update sequential; NumPy 2.4.6",),
        ("update parallel; NumPy 2.4.6",),
    ]


def test_what_changed_since_the_accepted_run_is_on_the_first_screen(builder):
    records = builder.run()
    view = build(builder.manifest(records), records, ())
    assert "No accepted run to compare with" in html(view)
    before = [builder.with_losses(each, {1: 0.75}) for each in records]
    changed = build(builder.manifest(records), records, (), accept(builder.manifest(before), before))
    first, rest = html(changed).split('<div class="bar">')
    assert "Since the accepted run (profile default" in first
    assert first.count(": bits changed") == 5
    assert rest.count(": bits changed") == len(records)


def test_the_pages_data_hold_every_trajectory_once_and_cannot_end_their_element(hostile):
    found, cells = data(hostile), hostile.sections["cells"].part.cells
    assert len(found["tracks"]) == len({tuple(map(str, each)) for each in found["tracks"]})
    assert [each["id"] for each in found["cells"]] == [
        *(each.id for each in cells),
        HOSTILE,
    ]
    for cell, record in zip(found["cells"], cells, strict=False):
        shown = found["tracks"][cell["track"]] if cell["track"] is not None else []
        assert tuple(each.hex() for each in shown) == tuple(record.losses)
    text = embedded(hostile)
    assert "<" not in text
    assert json.loads(text) == json.loads(json.dumps(found))


def test_the_command_that_runs_a_cell_again_is_quoted_for_a_shell():
    assert command("mazur/a b'/x", "docker") == (
        """repromatrix cell 'mazur/a b'"'"'/x' --engine docker --results again"""
    )


def test_every_vendored_file_is_named_with_its_package(checkout):
    folder = checkout / "templates" / "vendor"
    named = re.findall(r"\| (templates/vendor/\S+) \|", (folder / "README.md").read_text("utf-8"))
    made = {"README.md", "plot-style.css"}
    assert {each.name for each in folder.iterdir()} - made == {each.rpartition("/")[2] for each in named}


@pytest.mark.network
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here")
def test_the_vendored_files_are_those_of_the_registry(checkout):
    done = subprocess.run(
        ["sh", "scripts/vendor.sh", "--check"], cwd=checkout, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
