"""A bill of materials is valid, whole and the same bytes each time."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.images.contents import Package
from repromatrix.images.sbom import Subject, SystemPackage, read_system, render
from tests.images.bill import problems

STATUS = b"""\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13
Description: the C library
 Package: not one
 Version: 0

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2025b-0+deb12u1
"""
OS_RELEASE = b'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n\nPRETTY_NAME="Debian"\n'
HASHES = {("libc6", "2.36-9+deb12u13", "amd64"): "c" * 64, ("tzdata", "an older one", "all"): "d" * 64}


def hash_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def package(name: str, *requires: str, asked: bool = False, licences: tuple[str, ...] = ("MIT",)) -> Package:
    return Package(
        name=name,
        version="1.0+cpu" if name == "torch" else "1.0",
        asked=asked,
        needed_by=(),
        requires=requires,
        wheel=Path("/store") / hash_of(name) / "x.whl",
        unpacked=1,
        licences=licences,
    )


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    source = tmp_path / "cell.py"
    source.write_text("pass\n")
    return Subject(
        name="torch-1.0-cpu",
        version="1.0",
        tag="0123456789abcdef01234567",
        interpreter="3.11.2",
        packages=(
            package("torch", "sympy", asked=True, licences=("Apache-2.0 AND MIT",)),
            package("sympy", "mpmath", licences=("BSD",)),
            package("mpmath", licences=("BSD License", "MIT License")),
            package("namex", licences=()),
        ),
        sources=(source,),
        system=read_system(STATUS, OS_RELEASE, HASHES),
    )


def bill(subject: Subject) -> dict:
    return json.loads(render(subject))


def component(found: dict, name: str) -> dict:
    return next(each for each in found["components"] if each["name"] == name)


def depends(found: dict) -> dict[str, list[str]]:
    return {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}


def test_a_bill_is_valid_cyclonedx(subject: Subject) -> None:
    assert problems(render(subject)) == []
    assert (bill(subject)["bomFormat"], bill(subject)["specVersion"]) == ("CycloneDX", "1.6")


def test_the_validator_would_notice() -> None:
    assert problems('{"bomFormat": "CycloneDX"}')


def test_the_same_environment_gives_the_same_bytes(subject: Subject) -> None:
    shuffled = replace(subject, packages=subject.packages[::-1])
    assert render(subject) == render(subject) == render(shuffled)


def test_there_is_no_time_in_it_and_the_serial_number_follows_from_the_tag(subject: Subject) -> None:
    found = bill(subject)
    assert "timestamp" not in found["metadata"]
    assert bill(replace(subject, tag="f" * 24))["serialNumber"] != found["serialNumber"]
    assert bill(replace(subject, name="other"))["serialNumber"] == found["serialNumber"]


def test_a_wheel_has_its_address_hash_and_licence(subject: Subject) -> None:
    torch = component(bill(subject), "torch")
    assert torch["purl"] == "pkg:pypi/torch@1.0%2Bcpu"
    assert torch["hashes"] == [{"alg": "SHA-256", "content": hash_of("torch")}]
    assert torch["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]


def test_licences_of_any_kind_find_their_place(subject: Subject) -> None:
    found = bill(subject)
    assert component(found, "sympy")["licenses"] == [{"license": {"name": "BSD"}}]
    names = {each["license"]["name"] for each in component(found, "mpmath")["licenses"]}
    assert names == {"BSD License", "MIT License"}
    assert "licenses" not in component(found, "namex")


def test_a_package_of_the_distribution_has_a_hash_only_if_its_lock_tells_that_version(subject: Subject) -> None:
    found = bill(subject)
    libc, tzdata = component(found, "libc6"), component(found, "tzdata")
    assert libc["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=bookworm"
    assert libc["hashes"] == [{"alg": "SHA-256", "content": "c" * 64}]
    assert "hashes" not in tzdata


def test_only_what_is_installed_of_the_distribution_counts() -> None:
    system = read_system(STATUS, OS_RELEASE, HASHES)
    assert (system.distribution, system.release) == ("debian", "bookworm")
    assert system.packages == (
        SystemPackage(name="libc6", version="2.36-9+deb12u13", architecture="amd64", sha256="c" * 64),
        SystemPackage(name="tzdata", version="2025b-0+deb12u1", architecture="all", sha256=None),
    )


def test_the_interpreter_and_our_own_sources_are_in_it(subject: Subject) -> None:
    found = bill(subject)
    assert component(found, "CPython")["version"] == "3.11.2"
    assert component(found, "cell.py")["hashes"][0]["content"] == resources.file_sha256(subject.sources[0])


def test_the_graph_leads_from_the_environment_to_every_part(subject: Subject) -> None:
    graph = depends(bill(subject))
    assert graph["pkg:pypi/torch@1.0%2Bcpu"] == ["pkg:pypi/sympy@1.0"]
    assert set(graph["environment"]) == {"base", "interpreter", "pkg:pypi/torch@1.0%2Bcpu", "source:cell.py"}
    assert len(graph["base"]) == 2


def test_a_plain_environment_is_an_application_without_a_distribution(subject: Subject) -> None:
    found = bill(replace(subject, system=None))
    assert found["metadata"]["component"]["type"] == "application"
    assert not [each for each in found["components"] if each.get("purl", "").startswith("pkg:deb/")]
    assert problems(json.dumps(found)) == []
