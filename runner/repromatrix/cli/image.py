"""`repromatrix image`: what an environment's image is made of, and why."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import engine
from repromatrix.cli.story import Story
from repromatrix.errors import UsageError

if TYPE_CHECKING:
    from repromatrix.engines.base import Engine
    from repromatrix.matrix import Environment


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
    from repromatrix.images.bill import bill_of
    from repromatrix.images.look import document, look
    from repromatrix.matrix import load
    from repromatrix.plan import environments_named

    story = Story.of(options)
    (environment,) = environments_named(load(options.matrix), [options.environment])
    chosen = engine(options, story, [environment])
    if options.sbom:
        _give_bill(bill_of(environment, chosen, story), options.sbom, story)
    elif options.content:
        _print_content(environment, chosen, as_json=options.json)
    elif options.json:
        out.document(document(look(environment, chosen)), indent=1)
    else:
        out.say("\n".join(_text(document(look(environment, chosen)))))
    return 0


def _give_bill(bill: bytes, where: str, story: Story) -> None:
    if where == "-":
        out.presented(bill.decode())
        return
    resources.write_atomically(Path(where), bill)
    story.say(f"{'wrote':<10} {where}")


def _print_content(environment: "Environment", chosen: "Engine", *, as_json: bool) -> None:
    from repromatrix.engines.content import ImageReader
    from repromatrix.images.look import look

    if chosen.name != "docker":
        raise UsageError(
            "--content is for images: the files of a plain environment hold its own place on this machine",
            hint="compare images: --engine docker",
        )
    reference = look(environment, chosen).require_built().reference
    digest = ImageReader().digest(reference)
    if as_json:
        out.document({"reference": reference, "content": digest})
    else:
        out.say(digest)


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
