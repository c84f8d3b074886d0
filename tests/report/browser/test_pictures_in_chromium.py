"""The page's pictures in a real browser, and the page in other ways to take it: printed, unscripted, by axe-core."""

from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.results.manifest import Ensemble
from repromatrix.results.record import Outcome

AXE = Path(__file__).parent / "axe.min.js"


def test_the_arrow_keys_read_a_picture_aloud(page, report):
    page.open(report)
    page.show("picture-differences")
    page.run("document.querySelector('#picture-differences .canvas').focus()")
    reading = "#picture-differences .reading"
    assert page.text(reading) == "C1 (float32, 4 cells), step 1: 2.41e-9 from C2"
    page.key("ArrowRight")
    page.key("ArrowRight")
    page.key("ArrowDown")
    assert page.text(reading).startswith("C3 (")
    assert ", step 3: " in page.text(reading)
    assert page.run(f"document.querySelector('{reading}').getAttribute('aria-live')") == "polite"
    page.run("document.querySelector('#picture-pairs .canvas').focus()")
    page.key("ArrowRight")
    assert "first differing step" in page.text("#picture-pairs .reading")


def test_every_picture_has_a_table_with_the_same_numbers(page, report):
    page.open(report)
    page.show("pictures")
    page.run("document.querySelectorAll('figure').forEach(each => each.scrollIntoView())")
    page.show("picture-pairs")
    for name in ("losses", "differences", "weights", "pairs"):
        page.show(f"picture-{name}")
        page.click(f"#picture-{name} summary")
        page.wait(100)
        assert page.run(f"document.querySelectorAll('#picture-{name} tbody tr').length") >= 1, name
    classes = page.run("data.classes.length")
    assert page.run("document.querySelectorAll('#picture-losses tbody tr').length") == classes
    assert page.run("document.querySelectorAll('#picture-pairs svg rect').length") >= classes * classes


def test_what_rounds_to_the_same_value_is_not_called_the_same_bits(page, builder, written):
    fine, coarse = 0.1, builder.single(0.1)
    words = {"framework": "torch", "version": "2.13.0", "dtype": "float32", "id": "mazur/torch-2.13.0-cpu/coarse"}
    page.open(written(builder, [builder.record([fine, 0.5]), builder.record([coarse, 0.5], **words)]))
    page.show("cells")
    page.click("#form-ulp")
    row = "document.querySelectorAll('#cells-table tbody tr')[1]"
    assert page.run(f"[...{row}.cells].slice(6).map(each => [each.textContent, each.className])") == [
        ["0", ""],
        ["0", "same"],
    ]
    page.show("pictures")
    page.fill("#picture-unit", "ulp")
    page.wait(200)
    page.run("document.querySelector('#picture-differences .canvas').focus()")
    assert page.text("#picture-differences .reading").endswith("step 1: 0 ULP of float32 from C1")
    page.key("ArrowRight")
    assert page.text("#picture-differences .reading").endswith("step 2: the same bits as C1")
    assert "1 more" not in page.text("#picture-differences p")
    assert page.run("band(pairOf(...seriesOf('mazur')), 'most')") == 1


@pytest.fixture
def lengths(page, builder, written):
    """C1 and C2 agree as far as C2 goes; C3 is of another dtype, with the length of C1."""
    torch = {"framework": "torch", "version": "2.13.0"}
    records = [
        builder.record([0.5, 0.25, 0.125], **torch),
        builder.record([0.5, 0.25, 0.125], variant="again", **torch),
        builder.record([0.5, 0.25], variant="shorter", **torch),
        builder.record([0.5, 0.25, 0.25], variant="single", dtype="float32", **torch),
    ]
    page.open(written(builder, records, tables=()))
    page.show("picture-pairs")
    page.click("#picture-pairs summary")
    page.wait(100)
    return page


def test_trajectories_of_two_lengths_are_never_called_the_same(lengths):
    rows = (
        "[...document.querySelectorAll('#picture-pairs tbody tr')].map(row => [...row.cells].map(e => e.textContent))"
    )
    order = lengths.run("[...document.querySelectorAll('#picture-pairs thead th')].map(each => each.textContent)")
    table = {row[0]: dict(zip(order[1:], row[1:], strict=True)) for row in lengths.run(rows)}
    short = next(
        name for name in table if lengths.run(f"seriesOf('mazur').find(e => e.label === '{name}').track.length") == 2
    )
    assert table[short]["C1"] == table["C1"][short] == "same, first 2 steps"
    assert table["C1"]["C1"] == table[short][short] == "same"
    fills = lengths.run("[...document.querySelectorAll('#picture-pairs rect[fill]')].map(e => e.getAttribute('fill'))")
    assert fills.count("var(--heat-0)") == 3  # a class and itself
    hatched = "[...document.querySelectorAll('#picture-pairs [fill=\"url(#shorter)\"]')]"
    each_of_them = "each.querySelectorAll('rect').length || 1"
    assert sum(lengths.run(f"{hatched}.map(each => {each_of_them})")) == 4
    assert "different lengths: the first N steps" in lengths.text("#picture-pairs .heat-key")
    lengths.run("document.querySelector('#picture-pairs .canvas').focus()")
    lengths.key("ArrowRight")
    assert lengths.text("#picture-pairs .reading") == (
        "C2 (float64, 1 cell) and C1 (float64, 2 cells), of different lengths (2 and 3 steps), first 2 steps: "
        "the same losses there."
    )


def test_the_map_says_which_dtypes_ulps_it_counts(lengths):
    assert "of two dtypes, of the coarser (the later of float64, float32)" in lengths.text("#picture-pairs .heat-key")
    lengths.run("document.querySelector('#picture-pairs .canvas').focus()")
    for _ in range(2):
        lengths.key("ArrowRight")
    assert lengths.text("#picture-pairs .reading").endswith(
        "at most 8,388,608 ULP of float32, the coarser dtype of the two."
    )
    assert "8,388,608 (float32)" in lengths.text("#picture-pairs tbody")


def test_trajectories_of_one_length_and_dtype_need_no_such_words(page, builder, written):
    page.open(written(builder, [builder.record([0.5, 0.25]), builder.record([0.5, 0.125], variant="b")], tables=()))
    page.show("picture-pairs")
    key = page.text("#picture-pairs .heat-key")
    assert "ULP of float64." in key
    assert "different lengths" not in key


def test_a_measured_noise_floor_is_drawn_where_the_references_dtype_has_one(page, builder, written):
    start = [0.5, 0.25, 0.125]
    words = {"framework": "torch", "version": "2.13.0", "dtype": "float32"}
    reference = builder.record(start, id="mazur/torch-2.13.0-cpu/auto", **words)
    other = builder.record([0.5, 0.25, 0.1250001], id="mazur/torch-2.13.0-cpu/other", **words)
    moved = builder.record([each * (1 + 1e-6) for each in start], id=f"{reference.cell.id}~1", **words)
    records = (reference, other, moved)
    ensemble = Ensemble(workload="mazur", dtype="float32", reference=reference.cell.id, members=(moved.cell.id,))
    page.open(written(builder, records, manifest=replace(builder.manifest(records, tables=()), ensembles=(ensemble,))))
    page.show("picture-differences")
    assert "Dashed: the noise floor of mazur in float32" in page.text("#picture-differences p")
    assert page.run("document.querySelectorAll('#picture-differences [stroke-dasharray]').length") == 1
    page.open(written(builder, records[:2], tables=()))
    page.show("picture-differences")
    assert "No noise floor was measured" in page.text("#picture-differences p")
    assert page.run("document.querySelectorAll('#picture-differences [stroke-dasharray]').length") == 0


def test_another_reference_and_ulps_redraw_the_differences(page, report):
    page.open(report)
    page.show("picture-differences")
    before = page.text("#picture-differences p")
    page.fill("#picture-reference", "3")
    page.fill("#picture-unit", "ulp")
    page.wait(200)
    assert page.text("#picture-differences p") != before
    assert "Reference: C4" in page.text("#picture-differences p")
    assert "ULP" in page.text("#picture-differences svg")


@pytest.mark.parametrize("count", [0, 2])
def test_without_a_trajectory_there_is_nothing_to_draw_and_the_page_says_so(page, builder, written, count):
    lost = [builder.record(outcome=Outcome.SKIPPED, reason="no device", id=f"mazur/x/{each}") for each in range(count)]
    page.open(written(builder, lost, tables=()))
    assert "No cell has a trajectory to draw." in page.text("#pictures")
    page.show("cells")
    assert page.run("document.querySelectorAll('#cells-table tbody th').length") == count
    page.click("#form-ulp")
    page.click("#cells-table .sort")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.complaints == []


def test_a_printed_page_has_every_row_and_every_picture(page, report):
    page.open(report)
    assert page.run("document.querySelectorAll('#cells-table tbody tr').length") == 0
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("document.querySelectorAll('#cells-table tbody th').length") == page.run("rows.length")
    assert page.run("document.querySelectorAll('figure svg').length") == 4
    assert page.run("[...document.querySelectorAll('main details:not(figure *)')].every(each => each.open)")
    assert page.pdf().startswith(b"%PDF-")
    assert page.complaints == []


def test_without_javascript_every_table_is_there_and_the_pictures_say_what_they_need(unscripted, report):
    unscripted.open(report, script=False)
    shown = unscripted.shown("The pictures need JavaScript", "mazur/torch-2.13.0-cpu/manual-sequential")
    assert "ULP apart" not in shown


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page, report, scheme):
    page.scheme(scheme)
    page.call("Page.setBypassCSP", enabled=True)  # for axe itself
    page.open(report)
    try:
        for section in ("pictures", "cells", "classes"):
            page.show(section)
        page.run(
            "document.querySelectorAll('main > section').forEach(each => { each.style.contentVisibility = 'visible'; })"
        )
        page.run("document.querySelectorAll('main details').forEach(each => { each.open = true; })")
        page.run(AXE.read_text("utf-8"))
        faults = axe(page)
        page.run("location.hash = 'mazur/numpy-2.4.6-cpu/broken'; new Promise(done => setTimeout(done, 100))")
        faults += axe(page)
    finally:
        page.call("Page.setBypassCSP", enabled=False)
    assert faults == []


def axe(page):
    """What axe-core calls serious or critical, each with the first elements that have it."""
    return page.run(
        "axe.run().then(found => found.violations.filter(each => ['serious', 'critical'].includes(each.impact))"
        ".map(each => [each.id, each.nodes.slice(0, 4).map(node => [node.html.slice(0, 120), node.failureSummary])]))"
    )
