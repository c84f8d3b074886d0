"""Environment -> pulled from a registry, or pushed there, by content tag: a second machine builds nothing.

A content tag says what an image is made of, its base included. A machine that has no base cannot know which one the
image in the registry stands on: it takes the base that is written in the digests file, else the pinned one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

from repromatrix.engines.base import Base, BuildSpec, Built, Engine
from repromatrix.engines.docker import TAG_LABEL, reference
from repromatrix.engines.remote import LocalImage, Remote
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images.digests import Digests, Pushed
from repromatrix.images.lock import Lock as PackageLock
from repromatrix.images.spec import build_spec
from repromatrix.matrix import Environment

_BASE_LABEL = "org.opencontainers.image.base.digest"
_COMPARED = (_BASE_LABEL, "repromatrix.lock", "repromatrix.sources")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An image that the registry has.

    Attributes:
        reference: what to pull, by digest.
        now: whether it was sent just now.
    """

    reference: str
    now: bool


class Share:
    """The images of one engine in one registry. Safe to use from any thread.

    Args:
        engine: a Docker engine.
        remote: how it reaches registries.
        registry: `HOST[:PORT]/PATH`, without credentials.
        digests: what was pushed before, here or elsewhere.
        tell: takes a line for the reader.
        own_base_first: a base on this machine decides, whatever the registry has: for pushing.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        remote: Remote,
        registry: str,
        digests: Digests,
        tell: Callable[[str], None],
        own_base_first: bool = False,
    ) -> None:
        self._engine = engine
        self._remote = remote
        self._registry = registry
        self._digests = digests
        self._tell = tell
        self._own_base_first = own_base_first
        self._chosen: dict[tuple[str, str], Base | None] = {}  # environment and lock -> what `base` said
        self._there: dict[str, str] = {}  # content tag -> the reference by digest that the registry has
        self._pulling: defaultdict[str, Lock] = defaultdict(Lock)

    def base(self, environment: Environment, lock: PackageLock, here: Base | None) -> Base | None:
        """Return the base of the environment's image on this machine, else of the one in the registry, else None.

        The answer stays the same however often it is asked for.

        Raises:
            EnvironmentFailedError: the registry does not answer, or does not have what the digests file says.
        """
        asked = (environment.name, lock.digest)
        if asked not in self._chosen:
            self._chosen[asked] = self._choose(environment, lock, here)
        return self._chosen[asked]

    def fetch(self, spec: BuildSpec) -> Built | None:
        """Return the image that `base` found in the registry, pulled; None if it found none.

        What another thread is pulling is waited for, not pulled twice.

        Raises:
            EnvironmentFailedError: it cannot be pulled, or is another image than its tag says; it is then not kept.
        """
        there = self._there.get(spec.tag)
        if there is None:
            return None
        with self._pulling[spec.tag]:
            found = self._engine.find(spec)
            return found or self._pull(spec, there)

    def promised(self, spec: BuildSpec) -> Sent | None:
        """Return where the registry has exactly what the digests file says of an image, as `base` found out."""
        there = self._there.get(spec.tag)
        pushed = self._written(spec)
        known = there is not None and pushed is not None and there.endswith(pushed.manifest)
        return Sent(reference=str(there), now=False) if known else None

    def push(self, environment: Environment, lock: PackageLock, spec: BuildSpec) -> Sent:
        """Send an image of this machine unless the registry has the same, and write its digest down.

        Raises:
            EnvironmentFailedError: the registry does not answer or does not take it; the local image stays as it is.
            UsageError: the digests file is damaged.
        """
        image = self._remote.local(reference(spec))
        if image is None:
            raise EnvironmentFailedError(f"{spec.name}: its image went away", hint="run the same command again")
        repository = self._repository(spec)
        digest = self._remote.digest(f"{repository}:{spec.tag}")
        now = digest is None or f"{repository}@{digest}" not in image.digests
        if digest is None or now:
            self._remote.tag(image.id, repository, spec.tag)
            digest = self._remote.push(repository, spec.tag)
        pushed = Pushed(tag=spec.tag, base_kind=spec.base.kind, base_digest=spec.base.digest, manifest=digest)
        self._digests.record(environment.name, pushed, instead_of=self._superseded(environment, lock, spec))
        return Sent(reference=f"{repository}@{digest}", now=now)

    def _choose(self, environment: Environment, lock: PackageLock, here: Base | None) -> Base | None:
        candidates = [here] if here and self._own_base_first else self._candidates(environment, lock, here)
        by_tag: dict[str, BuildSpec] = {}
        for spec in (build_spec(environment, each, lock, ()) for each in candidates):
            by_tag.setdefault(spec.tag, spec)  # the same base found in two places: the first one is the nearer
        specs = tuple(by_tag.values())
        for spec in specs:
            if self._engine.find(spec):
                return spec.base
        for spec in specs:
            if found := self._ask(spec):
                self._there[spec.tag] = found
                return spec.base
        self._tell(f"{'absent':<10} {environment.name}: not in {self._registry}: built here")
        return None

    def _candidates(self, environment: Environment, lock: PackageLock, here: Base | None) -> Iterator[Base]:
        """Yield the bases that the image may stand on: ours, those of images here, those written down, the pinned."""
        wanted = bases.entry(environment)
        pinned = Base(kind="registry", reference=wanted.pinned, digest=wanted.digest)
        if here:
            yield here
        elif held := base_of_images(environment, lock, self._remote):
            yield held
        yield from self._matching(environment, lock)
        yield pinned

    def _matching(self, environment: Environment, lock: PackageLock) -> Iterator[Base]:
        """Yield the bases in the digests file on which this checkout would build what was pushed."""
        for pushed in self._digests.of(environment.name):
            base = _base(environment, pushed.base_digest)
            if base and base.kind == pushed.base_kind and build_spec(environment, base, lock, ()).tag == pushed.tag:
                yield base

    def _superseded(self, environment: Environment, lock: PackageLock, spec: BuildSpec) -> frozenset[str]:
        """Return the tags of the same image on other local bases: a machine without one must find one answer."""
        others = (build_spec(environment, each, lock, ()).tag for each in self._matching(environment, lock))
        return frozenset(others) - {spec.tag}

    def _ask(self, spec: BuildSpec) -> str | None:
        """Return the reference by digest that the registry has for an image, None where it has none."""
        repository = self._repository(spec)
        pushed = self._written(spec)
        if pushed is None:
            digest = self._remote.digest(f"{repository}:{spec.tag}")
            return f"{repository}@{digest}" if digest else None
        if self._remote.digest(f"{repository}@{pushed.manifest}"):
            return f"{repository}@{pushed.manifest}"
        found = self._remote.digest(f"{repository}:{spec.tag}")
        if found is None:
            return None
        raise EnvironmentFailedError(
            f"{repository}:{spec.tag} has another digest: expected {pushed.manifest}, found {found}",
            where=str(self._digests.path),
            hint="take the digests file of the last push; or push again: repromatrix push "
            f"--select {spec.name} --registry {self._registry}",
        )

    def _pull(self, spec: BuildSpec, there: str) -> Built:
        known = self._remote.local(there) is not None
        image = self._remote.pull(there)
        problem = _mismatch(image, spec)
        if problem:
            if not known:
                self._remote.untag(there)
            raise EnvironmentFailedError(
                f"{there} is not {spec.name}: {problem}; it is not used",
                where=self._registry,
                hint=f"see who pushed it; with another --registry, or without one, {spec.name} is built here",
            )
        repository, _, tag = reference(spec).rpartition(":")
        self._remote.tag(image.id, repository, tag)
        built = self._engine.find(spec)
        if built is None:
            raise EnvironmentFailedError(f"{reference(spec)} was pulled and is not there", hint="repromatrix doctor")
        self._tell(f"{'pulled':<10} {spec.name} from {there}")
        return built

    def _written(self, spec: BuildSpec) -> Pushed | None:
        return next((each for each in self._digests.of(spec.name) if each.tag == spec.tag), None)

    def _repository(self, spec: BuildSpec) -> str:
        name = reference(spec).rpartition(":")[0].rpartition("/")[2]
        return f"{self._registry}/{name}"


def base_of_images(environment: Environment, lock: PackageLock, remote: Remote) -> Base | None:
    """Return the base of an image on this machine that is what this checkout would build on it: one pulled before."""
    repository = reference(build_spec(environment, _UNKNOWN, lock, ())).rpartition(":")[0]
    for image in remote.held(repository):
        base = _base(environment, image.labels.get(_BASE_LABEL, ""))
        spec = build_spec(environment, base, lock, ()) if base else None
        if spec and reference(spec) in image.tags and not _mismatch(image, spec):
            return base
    return None


_UNKNOWN = Base(kind="local", reference="", digest="")


def _base(environment: Environment, digest: str) -> Base | None:
    """Return the base of that digest, which need not be on this machine."""
    wanted = bases.entry(environment)
    if digest == wanted.digest:
        return Base(kind="registry", reference=wanted.pinned, digest=digest)
    return Base(kind="local", reference=wanted.local, digest=digest) if digest else None


def _mismatch(image: LocalImage, spec: BuildSpec) -> str:
    """Return in words how an image's labels disagree with what it should be, empty where they agree."""
    expected = {name: value for name, value in spec.labels if name in _COMPARED} | {TAG_LABEL: spec.tag}
    wrong = [
        f"label {name}: expected {value}, found {image.labels.get(name, 'none')}"
        for name, value in sorted(expected.items())
        if image.labels.get(name) != value
    ]
    return "; ".join(wrong)
