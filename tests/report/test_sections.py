"""A section of the report is one module and one template: nothing else names it."""

import json
import sys

import msgspec
import pytest

from repromatrix import resources
from repromatrix.report import document, render
from repromatrix.report import sections as package
from repromatrix.results import schemas
from tests.report.reports import build

MODULE = '''
from repromatrix.report.section import Headline, Part, Section, brief
from repromatrix.report.sentence import sentence

PLACE = 85


class Document(Part, frozen=True, kw_only=True):
    """A new part of report.json."""

    longest: int


def build(run):
    longest = max(len(record.cell.id) for record in run.records)
    said = sentence("longest_name", "longest", f"The longest name has {longest} letters", longest=longest)
    return Section(
        part=Document(longest=longest),
        sentences=(said,),
        data={"longest": longest},
        links=(("longest", "Longest"),),
        headlines=(Headline(group="ran", words=said.text, link="longest"),),
        briefs=brief("The longest name", [said]),
    )
'''
TEMPLATE = '<section id="longest"><p>{{ section.sentences[0].text }}</p></section>'


@pytest.fixture
def with_a_section(tmp_path, monkeypatch):
    """The report with a section more: its module and its template, and nothing else."""
    (tmp_path / "longest.py").write_text(MODULE, "utf-8")
    (tmp_path / "sections").mkdir()
    (tmp_path / "sections" / "longest.html").write_text(TEMPLATE, "utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setattr(render, "TEMPLATES", (*render.TEMPLATES, tmp_path))
    package.sections.cache_clear()
    yield
    sys.modules.pop(f"{package.__name__}.longest", None)
    package.sections.cache_clear()


@pytest.mark.usefixtures("with_a_section")
def test_a_new_section_is_a_module_and_a_template(builder):
    records = builder.run()
    view = build(builder.manifest(records), records)
    said = f"The longest name has {max(len(each.cell.id) for each in records)} letters"
    names = list(view.sections)
    assert names.index("cells") < names.index("longest") < names.index("published")
    page = render.html(view)
    first, rest = page.split('<div class="bar">')
    assert said in first
    assert '<a href="#longest">Longest</a>' in rest
    assert f'<section id="longest"><p>{said}</p></section>' in rest
    assert said in render.markdown(view)
    found = json.loads(render.json_text(view))
    assert found["longest"] == max(len(each.cell.id) for each in records)
    assert said in [each["text"] for each in found["sentences"]]
    assert document.schema()["$defs"]["Report"]["properties"]["longest"] == {"type": "integer"}


def test_every_section_has_a_template_and_every_template_a_section():
    templates = {path.stem for path in (resources.folder("templates") / "sections").glob("*.html")}
    assert templates == package.sections().keys()


def test_no_two_sections_have_one_place_or_one_field():
    modules = package.sections().values()
    assert len({each.PLACE for each in modules}) == len(modules)
    fields = [name for each in modules for name in each.Document.__struct_fields__]
    assert len(fields) == len(set(fields))


def test_the_schema_is_made_of_the_sections():
    path = resources.schema("report")
    assert path.read_bytes() == schemas.written(document.schema()), "python -m repromatrix.report.document"


def test_a_report_of_another_form_is_refused(builder):
    records = builder.run()
    found = document.document(build(builder.manifest(records), records))
    form = document.form()
    msgspec.convert(found, form, strict=True)
    for change in ({"cells": [7]}, {"longest": 3}, {"summary": None}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(found | change, form, strict=True)
