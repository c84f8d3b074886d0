"""The page's navigation: every section with something in it, and no other."""

import re
from dataclasses import replace

import pytest

from repromatrix.report.render import html
from tests.report.reports import build


@pytest.fixture
def sections(builder):
    """Where the navigation of a report leads to, in order."""

    def found(records, *, missing=(), **words):
        text = html(build(builder.manifest(records, **words), records, missing))
        (navigation,) = re.findall(r'<nav aria-label="Sections">.*?</nav>', text, re.DOTALL)
        names = re.findall(r'href="#([^"]*)"', navigation)
        assert all(f'id="{name}"' in text for name in names)
        return names

    return found


def test_what_was_run_is_led_to(builder, sections):
    names = sections(builder.run())
    assert names.index("classes") < names.index("cells") < names.index("p1-losses")  # a table is one section of many
    assert set(names) >= {"pictures", "classes", "divergences", "cells", "p1-predictions", "environments", "sentences"}


def test_where_all_ran_there_is_no_way_to_what_did_not(builder, sections):
    plain = [builder.record([0.5, 0.25])]
    assert "troubles" not in sections(plain, tables=())
    lost = replace(plain[0], outcome=builder.Outcome.FAILED, reason="it broke", trajectories=())
    assert "troubles" in sections([lost], tables=())
    assert "troubles" in sections(plain, tables=(), missing=("mazur/not/there",))
    assert "troubles" in sections(plain, tables=(), left_out=[("mazur/left/out", "not on this Python")])


def test_a_run_without_trajectories_has_no_classes_to_lead_to(builder, sections):
    names = sections([builder.record(outcome=builder.Outcome.FAILED, reason="it broke")], tables=())
    assert not {"pictures", "classes"} & set(names)
    assert {"divergences", "cells", "sentences"} <= set(names)
