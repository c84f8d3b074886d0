"""`repromatrix image`: what an environment's image is made of, and why."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repromatrix.cli import options as shared
from repromatrix.cli.bill import bill_of, write_bill
from repromatrix.cli.select import engine as choose_engine
from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.engines.docker import reference
from repromatrix.errors import UsageError
from repromatrix.matrix import Environment, load
from repromatrix.matrix.check import suggest

if TYPE_CHECKING:
    from repromatrix.images.look import Look

_REVISION = "org.opencontainers.image.revision"


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("environment", metavar="ENV", help="an environment of the matrix")
    shared.matrix(parser)
    shared.engine_name(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--content", action="store_true", help="only the digest over path, type, mode and content of all its files"
    )
    what.add_argument(
        "--sbom",
        nargs="?",
        const="-",
        metavar="FILE",
        help="only its bill of materials (CycloneDX 1.6 as JSON); default: standard output",
    )
    shared.json_output(parser)
    shared.examples(parser, "image numpy-2.4.6-cpu", "image torch-2.13.0-cpu --sbom torch.cdx.json")


def run(options: Namespace) -> int:
    """Print what is known of the image, its content's digest, or its bill of materials."""
    from repromatrix.images.look import look  # noqa: PLC0415 - the Docker SDK costs time

    story = Story.of(options)
    environment = _environment(options)
    engine = choose_engine(options, story, [environment])
    if options.sbom:
        bill = bill_of(environment, engine, story)
        if options.sbom == "-":
            sys.stdout.write(bill.decode())
        else:
            write_bill(bill, Path(options.sbom), story)
        return 0
    if options.content:
        return _print_content(environment, engine, as_json=options.json)
    seen = document(look(environment, engine))
    print(json.dumps(seen, indent=1) if options.json else "\n".join(_text(seen)))
    return 0


def _environment(options: Namespace) -> Environment:
    matrix = load(options.matrix)
    found = matrix.environment(options.environment)
    if found is None:
        raise UsageError(
            f"no environment {options.environment!r} in {matrix.path.name}",
            hint=suggest(options.environment, [each.name for each in matrix.environments]),
        )
    return found


def _print_content(environment: Environment, engine: Engine, *, as_json: bool) -> int:
    from repromatrix.engines.content import ImageReader  # noqa: PLC0415
    from repromatrix.images.look import look  # noqa: PLC0415

    if engine.name != "docker":
        raise UsageError(
            "a plain environment's files say where they lie: no other machine's content can be equal",
            hint="compare images: --engine docker",
        )
    built = look(environment, engine).require_built()
    digest = ImageReader().digest(built.reference)
    print(json.dumps({"reference": built.reference, "content": digest}) if as_json else digest)
    return 0


def document(seen: "Look") -> dict[str, Any]:
    """Return a `Look` as plain data."""
    environment, spec, facts = seen.environment, seen.spec, seen.facts
    image = seen.entry is not None
    # What made a plain environment is not noted in it; what is not built yet would be made by this checkout.
    labels = dict(facts.labels if facts else () if seen.built else spec.labels)
    return {
        "environment": environment.name,
        "where": environment.where,
        "engine": "docker" if image else "process",
        "reference": seen.built.reference if seen.built else reference(spec) if image else None,
        "built": seen.built is not None,
        "digest": facts.digest if facts else None,
        "content_tag": spec.tag,
        "made_of": dict(seen.made_of) | {"variables": dict(seen.made_of["variables"])},
        "base": {
            "kind": seen.base.kind,
            "reference": seen.base.reference,
            "digest": seen.base.digest,
            "here": seen.base_here,
            "tag": seen.entry.registry if seen.entry else None,
            "suite": seen.entry.suite if seen.entry else None,
        },
        "lock": {"path": os.path.relpath(seen.lock.path), "digest": seen.lock.digest},
        "revision": labels.get(_REVISION),
        "size": {
            "base": seen.size.base,
            "wheels": seen.size.wheels,
            "whole": seen.size.whole,
            "ratio": seen.size.ratio and round(seen.size.ratio, 4),
        },
        "labels": labels if image else {},
        "variables": dict(facts.variables if facts else spec.variables),
        "user": facts.user if facts else None,
        "entrypoint": list(facts.entrypoint) if facts else None,
        "layers": list(facts.layers) if facts else None,
        "packages": [
            {
                "name": each.name,
                "version": each.version,
                "sha256": each.sha256,
                "licences": list(each.licences),
                "asked": each.asked,
                "needed_by": list(each.needed_by),
                "why": each.why(environment.where),
            }
            for each in seen.packages
        ],
    }


def _text(seen: dict[str, Any]) -> list[str]:
    base, size, made_of = seen["base"], seen["size"], seen["made_of"]
    command = f"repromatrix build --select {seen['environment']}"
    built = "built here" if seen["built"] else f"not built here: {command}"
    origin = [base["kind"], *([f"suite {base['suite']}"] if base["suite"] else [])]
    origin += [] if base["here"] else ["not on this machine"]
    lines = [
        f"{seen['environment']} ({seen['where']})",
        _line("image" if seen["engine"] == "docker" else "folder", f"{seen['reference'] or ''} ({built})".strip()),
        _line("digest", seen["digest"]),
        _line("tag", f"{seen['content_tag']}, over:"),
        *(_line("", f"{name:<9} {_plain(value)}") for name, value in made_of.items()),
        _line("base", f"{base['reference']} ({', '.join(origin)})"),
        _line("", base["digest"]),
        _line("", f"in a registry: {base['tag']}" if base["tag"] else None),
        _line("lock", seen["lock"]["path"]),
        _line("revision", seen["revision"]),
        _line("size", _sizes(size)),
        _line("user", seen["user"]),
        _line("starts", " ".join(seen["entrypoint"] or [])),
        *(_line("variable", f"{name}={value}") for name, value in seen["variables"].items()),
        *(_line("label", f"{name}={value}") for name, value in seen["labels"].items()),
        f"packages   {len(seen['packages'])}",
        *(f"  {each['name']} {each['version']}: {each['why']}" for each in seen["packages"]),
    ]
    return [line for line in lines if line]


def _line(name: str, text: str | None) -> str:
    return f"{name:<10} {text}" if text else ""


def _plain(value: Any) -> str:
    return " ".join(f"{key}={each}" for key, each in value.items()) or "none" if isinstance(value, dict) else str(value)


def _sizes(size: dict[str, Any]) -> str:
    parts = [f"{name} {_mib(size[name])}" for name in ("base", "wheels", "whole")]
    against = f"; the whole is {size['ratio']:.1%} of base and wheels" if size["ratio"] else ""
    return f"{', '.join(parts)}{against}"


def _mib(size: int | None) -> str:
    return "not known" if size is None else f"{size / 2**20:.1f} MiB"
