"""Versions along a line: every one that there is, and nothing said over a gap."""

from repromatrix.compare.versions import lines
from repromatrix.results.record import Outcome


def shown(line):
    return " ".join(f"{each.version}:{each.label or '?'}" for each in line.stops)


def test_a_difference_may_come_and_go(builder):
    losses = {"1.9": 0.5, "1.10": 0.25, "2.0": 0.5}
    (line,) = lines([builder.record((value,), version=version) for version, value in losses.items()])
    assert shown(line) == "1.9:A 1.10:B 2.0:A"
    assert (line.labels, line.gaps) == (2, False)


def test_versions_of_the_matrix_that_were_not_run_are_gaps(builder):
    records = [builder.record(version=version) for version in ("1.0", "3.0")]
    known = [("numpy", "cpu", "3.11", each) for each in ("1.0", "2.0", "3.0", "4.0")] + [
        ("torch", "cpu", "3.11", "2.5")
    ]
    (line,) = lines(records, known)
    assert shown(line) == "1.0:A 2.0:? 3.0:A 4.0:?"
    assert line.gaps
    assert [each.reason for each in line.stops] == [None, "not run", None, "not run"]


def test_a_failed_version_and_one_whose_repeats_differ_have_no_label(builder):
    records = [
        builder.record(version="1.0"),
        builder.record(version="2.0", outcome=Outcome.FAILED, reason="SIGILL"),
        builder.record(version="3.0", repeats=((0.5, 0.26),)),
    ]
    (line,) = lines(records)
    assert shown(line) == "1.0:A 2.0:? 3.0:?"
    assert [each.reason for each in line.stops] == [None, "failed: SIGILL", "its repeats differ"]


def test_one_version_alone_is_no_line(builder):
    assert lines([builder.record()]) == ()
