"""The page in a real browser, opened from disk: what it shows, switches, sorts, copies and never does."""

import json
from dataclasses import replace

import pytest

from repromatrix import harmless
from repromatrix.compare.allowance import allowances
from repromatrix.compare.difference import compare
from repromatrix.compare.exact import ulps
from repromatrix.floats import coarser
from repromatrix.results.manifest import Ensemble
from repromatrix.results.record import Outcome
from tests import values

HOSTILE = (
    "</script></style><script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">'\"&amp; \u202eRTL "
)
LONG = HOSTILE + "long" * 60
NAMES = "[...document.querySelectorAll('#cells-table tbody th a')].map(each => each.textContent)"


@pytest.fixture
def cells(page, report):
    """The table of all cells, in sight."""
    page.open(report)
    page.show("cells")
    return page


def test_it_opens_from_disk_without_a_complaint_and_asks_for_nothing_else(page, report):
    page.open(report)
    for section in ("pictures", "classes", "versions", "cells", "environments"):
        page.show(section)
    assert page.complaints == []
    assert page.requests == [report.as_uri()]


def test_hostile_names_reasons_logs_and_settings_stay_text(page, builder, written):
    words = {
        "id": f"mazur/{HOSTILE}/x",
        "environment": HOSTILE,
        "variant": HOSTILE,
        "version": HOSTILE,
        "workload": HOSTILE,
    }
    failed = builder.record(outcome=Outcome.FAILED, reason=HOSTILE, **words)
    records = [
        *builder.run(),
        replace(failed, log=HOSTILE),
        replace(builder.record(**words | {"id": LONG}), fingerprint={"kernels": {HOSTILE: HOSTILE}}),
    ]
    page.open(written(builder, records, missing=(HOSTILE,), left_out=[(LONG, HOSTILE)]))
    for section in ("pictures", "classes", "versions", "cells", "environments"):
        page.show(section)
    shown = page.run(NAMES)
    assert {*map(harmless.shown, (failed.cell.id, LONG, HOSTILE))} <= set(shown)
    for name in (failed.cell.id, LONG):
        seen = harmless.shown(name)
        page.run(f"location.hash = encodeURIComponent({json.dumps(seen)}); new Promise(done => setTimeout(done, 50))")
        assert page.text("dialog h2") == seen
        assert page.run("document.querySelector('dialog').open")
    assert page.run("[document.title, document.images.length]") == ["repromatrix: profile default", 0]
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_the_page_sideways(page, builder, written, scheme):
    page.size(390, 844)
    page.scheme(scheme)
    records = (*builder.run(), builder.record(id=f"mazur/{'e' * 300}/x", options=(("o" * 200, "v" * 200),)))
    page.open(written(builder, records, missing=("m" * 300,), left_out=[("l" * 300, "r" * 300)]))
    for section in ("p1-losses", "pictures", "classes", "versions", "cells", "environments", "troubles"):
        page.show(section)
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), section


def test_a_phone_shows_every_rule_without_scrolling_its_table(page, builder, written):
    page.size(390, 844)
    kinds = [("update", "a-long-way-to-say-parallel"), ("layout", "another-long-way-to-say-in-out")]
    words = {"framework": "torch", "version": "2.13.0", "dtype": "float32"}
    cells = [
        builder.record([0.5, 0.25 / (number // 2 + 1)], variant=f"v{number}", options=((name, value),), **words)
        for number, (name, value) in enumerate(kinds * 2)
    ]
    page.open(written(builder, cells, tables=()))
    page.show("classes")
    edges = page.run(
        "[...document.querySelectorAll('.rule')].map(each => [each.querySelector('.line').textContent.length > 20, "
        "each.getBoundingClientRect().right <= each.closest('.scroll').getBoundingClientRect().right])"
    )
    assert edges == [[True, True]] * 2


@pytest.mark.parametrize("width", [1024, 1400])
def test_a_desktop_shows_the_whole_navigation(page, report, width):
    page.size(width, 900)
    page.open(report)
    hidden = page.run("""(() => {
      const nav = document.querySelector('.bar nav');
      const links = [...nav.querySelectorAll('a')];
      return links.filter(each => each.getBoundingClientRect().right > nav.getBoundingClientRect().right + 1)
        .map(each => each.textContent);
    })()""")
    assert hidden == []


@pytest.mark.parametrize("width", [390, 1400])
def test_the_end_of_a_cells_name_is_always_in_sight(page, builder, written, width):
    page.size(width, 844)
    names = [
        f"mazur/{environment}/{variant}-float{size}"
        for environment in ("numpy-2.4.6-cpu", "tensorflow-2.21.0-cpu-py3.9-onednn-off")
        for variant in ("sequential", "manual-parallel-of-another-kind")
        for size in (16, 32)
    ]
    page.open(written(builder, [builder.record(id=each, variant=each) for each in names], tables=()))
    page.show("cells")
    assert page.run(NAMES) == names
    seen = page.run("""[...document.querySelectorAll('#cells-table tbody th')].map(head => {
      const last = [...head.querySelectorAll('a, a span')].at(-1).lastChild;
      const range = new Range();
      range.setStart(last, last.length - 8);
      range.setEnd(last, last.length);
      const [text, box] = [range.getBoundingClientRect(), head.getBoundingClientRect()];
      return text.width > 0 && text.left >= box.left && text.right <= box.right && text.bottom <= box.bottom;
    })""")
    assert seen == [True] * len(names)


def test_the_published_table_counts_ulps_from_the_chosen_column(page, builder, report):
    page.open(report)
    page.show("p1-losses")
    page.click("#form-ulp")
    page.fill("#p1-losses select", "3", "change")
    shown = page.run(
        "[...document.querySelectorAll('.iterations tbody tr')].map(row => "
        "[...row.cells].slice(1).map(cell => cell.querySelector('.ulp')?.innerText ?? null))"
    )
    columns = list(builder.COLUMNS.items())
    records = {(each.cell.framework, each.cell.version, each.cell.variant): each for each in builder.run()}
    newest = [records[framework, builder.VERSIONS[framework][-1], variant] for _, (framework, variant) in columns]
    reference = newest[3]
    for number, row in enumerate(shown):
        for record, found in zip(newest, row, strict=True):
            if number >= len(record.trajectory.losses):
                assert found is None
                continue
            a, b = (float.fromhex(each.trajectory.losses[number]) for each in (record, reference))
            assert found == f"{ulps(a, b, coarser(record.cell.dtype, reference.cell.dtype)):,}"


def test_the_published_table_marks_digits_against_the_chosen_column(page, report):
    page.open(report)
    page.show("p1-losses")
    second = "document.querySelector('.iterations tbody').rows[1].cells"
    assert page.run(f"{second}[1].querySelectorAll('mark').length") == 0
    page.fill("#p1-losses select", "1", "change")
    assert page.run(f"[...{second}].slice(1, 3).map(each => each.querySelector('.dec').innerHTML)") == [
        "0.291027<mark>92</mark>3<mark>9</mark>",
        "0.2910277737",
    ]
    page.click("#form-hex")
    assert page.run(f"{second}[1].innerText").startswith("0x1.")


def test_words_and_chips_filter_the_cells(cells):
    every = cells.run(NAMES)
    cells.fill("#filter", "torch FLOAT32 manual")
    assert set(cells.run(NAMES)) == {each for each in every if "torch" in each and "manual" in each}
    assert cells.text("#filter-count") == f"2 of {len(every)} rows"
    cells.fill("#filter", "")
    cells.run("[...document.querySelectorAll('.chip')].find(each => each.textContent.startsWith('failed')).click()")
    assert cells.run(NAMES) == ["mazur/numpy-2.4.6-cpu/broken"]
    cells.run("[...document.querySelectorAll('.chip')].find(each => each.textContent.startsWith('missing')).click()")
    assert set(cells.run(NAMES)) == {"mazur/numpy-2.4.6-cpu/broken", "mazur/numpy-2.4.6-cpu/gone"}
    assert cells.run("document.querySelectorAll('.chip[aria-pressed=true]').length") == 2


def test_a_heads_button_sorts_and_what_has_no_value_stands_last(cells):
    last = "[...document.querySelectorAll('#cells-table thead th')].at(-1)"
    values = "[...document.querySelectorAll('#cells-table tbody tr')].map(row => row.cells[15]?.textContent ?? '')"
    for way in ("ascending", "descending"):
        cells.run(f"{last}.querySelector('button').click()")
        assert cells.run(f"{last}.getAttribute('aria-sort')") == way
        found = cells.run(values)
        numbers = [float(each) for each in found if each]
        assert numbers == sorted(numbers, reverse=way == "descending")
        assert found[len(numbers) :] == [""] * (len(found) - len(numbers))
        assert len(found) > len(numbers) > 10


def test_the_verdicts_and_ulps_against_another_cell_are_those_of_python(page, builder, written):
    records = builder.run()
    odd = {"framework": "torch", "version": "2.13.0", "dtype": "float32"}
    records = (
        *records,
        builder.record((0.5, 0.25), repeats=((0.5, 0.125),), id="mazur/x/odd"),
        builder.record([float("nan")] * 10, id="mazur/x/nan"),
        builder.record([0.3 + 1e-9 * step for step in range(10)], id="mazur/x/near", variant="near", **odd),
        builder.record(id="other/x/y", workload="other"),
        builder.record(outcome=Outcome.FAILED, reason="why", id="mazur/x/failed"),
    )
    torch = [each for each in records if each.cell.framework == "torch" and len(each.trajectory.losses) == 10]
    moved = f"{torch[0].cell.id}~1"
    ensemble = Ensemble(workload="mazur", dtype="float32", reference=torch[0].cell.id, members=(moved,))
    losses = [float.fromhex(each) * (1 + 1e-7) for each in torch[0].trajectory.losses]
    member = builder.record(losses, id=moved, dtype="float32")
    manifest = replace(builder.manifest((*records, member)), ensembles=(ensemble,))
    allowed = allowances(manifest, {each.cell.id: each for each in (*records, member)})
    assert allowed.floors
    page.open(written(builder, (*records, member), manifest=manifest))
    page.show("cells")
    page.click("#form-ulp")
    verdicts = set()
    for reference in (torch[0], records[0], torch[-1]):
        place = page.run(f"rows.findIndex(row => row.cell.id === {json.dumps(reference.cell.id)})")
        page.fill("#reference", str(place), "change")
        shown = page.run(
            "rows.filter(row => !row.repeat).map(row => [row.cell.id, verdictOf(row), lossText(row, 0, true)])"
        )
        for (name, verdict, count), record in zip(shown, records, strict=True):
            found = compare(record, reference, allowed)
            assert (name, verdict) == (record.cell.id, found.verdict.value)
            verdicts.add(verdict)
            if found.measure and record.cell.workload == "mazur":
                a, b = (float.fromhex(each.trajectory.losses[0]) for each in (record, reference))
                expected = ulps(a, b, found.ulp_dtype)
                assert count == ("\u2013" if expected is None else str(expected))
    assert verdicts >= {"identical", "rounding", "divergent", "incomparable", "missing"}


def test_another_metric_than_the_loss_makes_another_verdict(page, builder, written):
    def judged(name, accuracy):
        found = values.trajectory((0.5, 0.25), [[0.7]] * 3, [[1.0]], [[1.0]], metrics={"accuracy": accuracy})
        plain = builder.record(id=f"mazur/{name}", task="9a" * 32)
        return replace(plain, trajectories=(found,))

    accuracies = {"a": (0.5, 0.75), "b": (0.5, 0.75), "c": (0.5, 0.5), "d": (0.5, 0.75 + 2**-50)}
    records = tuple(judged(name, each) for name, each in accuracies.items())
    page.open(written(builder, records, tables=()))
    page.show("cells")
    page.fill("#reference", "0", "change")
    allowed = allowances(builder.manifest(records), {each.cell.id: each for each in records})
    shown = dict(page.run("rows.map(row => [row.cell.id, verdictOf(row)])"))
    assert shown == {each.cell.id: compare(each, records[0], allowed).verdict.value for each in records}
    assert list(shown.values()) == ["identical", "identical", "divergent", "rounding"]


def test_what_is_shown_is_copied_as_csv(cells):
    cells.run("navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }")
    cells.fill("#filter", "broken")
    cells.run("[...document.querySelectorAll('#cells .copy button')][0].click()")
    cells.wait(100)
    assert cells.text("#cells .copy output") == "Copied."
    copied = cells.run("copied").splitlines()
    losses = ",".join(f"Loss {step}" for step in range(1, 11))
    assert copied == [
        f"Cell,dtype,Outcome,Repeats,Class,Verdict,{losses},Reason",
        "mazur/numpy-2.4.6-cpu/broken,float64,failed,\u2013,\u2013,missing,,,,,,,,,,,it broke",
    ]


def test_a_closed_clipboard_leaves_the_text_to_copy_by_hand(cells):
    cells.run("navigator.clipboard.writeText = () => Promise.reject(new Error('closed'))")
    cells.run("[...document.querySelectorAll('#p1-losses .copy button')][1].click()")
    cells.wait(100)
    lines = cells.run("document.querySelector('dialog.copying textarea').value").splitlines()
    assert lines[0].startswith("| Iteration | NumPy Sequential |")
    assert lines[2].startswith("| 1 | 0.2983711088 |")
    assert len(lines) == 12


def test_quotes_commas_and_lines_survive_csv_and_markdown(cells):
    rows = [["a", 'say "x", y'], ["line\nbreak", "<b>|*"]]
    assert cells.run(f"csv({json.dumps(rows)})") == 'a,"say ""x"", y"\r\n"line\nbreak",<b>|*\r\n'
    assert (
        cells.run(f"markdown({json.dumps(rows)})") == '| a | say "x", y |\n|---|---|\n| line break | \\<b\\>\\|\\* |\n'
    )


def test_the_address_of_a_cell_opens_all_about_it(page, report):
    name = "mazur/torch-2.13.0-cpu/manual-sequential"
    page.open(report, f"#{name}")
    told = page.run("document.querySelector('dialog').innerText")
    assert name in told
    assert f"repromatrix cell {name} --engine process --results again" in told
    assert "none: run as a plain process" in told
    assert page.run("document.querySelectorAll('dialog tbody tr').length") == 10
    assert "openblas_core" in page.text("dialog details pre")
    page.key("Escape")
    page.wait(50)
    assert page.run("[document.querySelector('dialog').open, location.hash]") == [False, "#cells"]


def test_a_failed_cells_details_tell_its_reason_and_its_log(page, report):
    page.open(report, "#mazur/numpy-2.4.6-cpu/broken")
    told = page.run("document.querySelector('dialog').innerText")
    assert "failed: it broke" in told
    assert "logs/numpy-2.4.6-cpu/default.log" in told
