"""The hooks of the injector's own training loop: what faults make of a value, and where that changes a bit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.faults import bits
from bench.faults.arithmetic import Arithmetic, Tensor
from bench.faults.draw import Fault
from bench.faults.host import flat, shaped

Place = tuple[str, int]
UNTRACED = ("output_delta", "hidden_error", "hidden_delta")  # sites that no trace has


@dataclass(slots=True, kw_only=True)
class Run:
    """What a run gave.

    Attributes:
        steps: for each step the traced tensors, laid flat, by name; weights as rows per unit.
        prediction: the output after the last update.
        dtypes: of the tensors, by name, where they are not the job's.
        shown: for each fault the places at which it changed a bit of what is computed there.
    """

    steps: list[dict[str, list[float]]] = field(default_factory=list)
    prediction: list[float] = field(default_factory=list)
    dtypes: dict[str, str] = field(default_factory=dict)
    shown: list[set[Place]] = field(default_factory=list)

    @property
    def losses(self) -> list[float]:
        """The loss of each step."""
        return [step["loss"][0] for step in self.steps]


class Hooks:
    """The faults of a run, and what is known of them while it goes on."""

    def __init__(self, arithmetic: Arithmetic, faults: tuple[Fault, ...], run: Run) -> None:
        """Take the faults that are no options; what they show goes into the run."""
        self.a, self.faults, self.run = arithmetic, faults, run
        self.untraced: list[tuple[int, str, Any]] = []

    def at(
        self,
        site: str,
        step: int,
        clean: Tensor,
        again: Callable[[Fault], Any] = lambda _: None,
        others: tuple[str, ...] = (),
    ) -> Tensor:
        """Return the value that the faults at a site make of the clean one; note where that changes a bit."""
        value = clean
        for place, fault in enumerate(self.faults):
            joint = "objective" if site in ("loss", "output_delta") else None
            if fault.site not in (site, joint, *others) or not fault.first <= step <= fault.last:
                continue
            before = self.a.host(value)
            told = again(fault)
            told = self.value(fault, before) if told is None else told
            value = self.a.tensor(shaped([bits.rounded(each, self.a.dtype) for each in flat(told)], before))
            if site in UNTRACED:
                self.untraced.append((place, site, before))
            else:
                self.show(place, before, self.a.host(value), ((site, step),))
        return value

    def value(self, fault: Fault, before: Any) -> Any:
        """Return what a fault that needs nothing else makes of the numbers."""
        dtype = self.a.dtype
        change = {
            "scale": lambda v: v * fault.amount,
            "add": lambda v: v + fault.amount,
            "ulp": lambda v: bits.moved(v, int(fault.amount), dtype),
            "flip": lambda v: bits.flipped(v, int(fault.amount), dtype),
        }.get(fault.how)
        if change is None:
            change = lambda v: bits.rounded(v, fault.how.removeprefix("round_"))  # noqa: E731
        return shaped(bits.each(flat(before), change, fault.element), before)

    def show(self, place: int, before: Any, after: Any, places: tuple[Place, ...]) -> None:
        """Note that a fault shows at places if it has changed a bit."""
        if bits.text(flat(before)) != bits.text(flat(after)):
            self.run.shown[place] |= set(places)
