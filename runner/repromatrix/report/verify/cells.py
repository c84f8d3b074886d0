"""Records -> which cells share every bit, by another way than the report's own."""

import json
from collections.abc import Iterable, Sequence

from repromatrix.report.verify.due import Due, due
from repromatrix.results.record import Record


def classes(records: Sequence[Record]) -> Iterable[Due]:
    """Return which cells share every bit, which of those end in other states, and which states are shared."""
    names: dict[str, tuple[str, str]] = {}
    single = [each for each in records if len(each.trajectories) == 1]
    for workload in dict.fromkeys(each.cell.workload for each in single):
        groups: dict[tuple[tuple[str, ...], ...], list[Record]] = {}
        for each in single:
            if each.cell.workload == workload:
                groups.setdefault(each.trajectories[0].judged, []).append(each)
        largest = sorted(groups.items(), key=lambda item: len(item[1]), reverse=True)
        for number, (judged, members) in enumerate(largest, start=1):
            name = f"C{number}"
            ids = tuple(each.cell.id for each in members)
            names |= dict.fromkeys(ids, (workload, name))
            yield due("class_of", f"class/{workload}/{name}", ids, workload=workload, name=name, losses=judged[0])
            states = sorted(_by_state(members).values(), key=len, reverse=True)
            if len(states) > 1:
                where = f"states/{workload}/{name}"
                yield due("one_class_two_states", where, ids, workload=workload, name=name, states=states)
    for workload in dict.fromkeys(each.cell.workload for each in single):
        for together in _by_state([each for each in single if each.cell.workload == workload]).values():
            between = tuple(dict.fromkeys(names[each][1] for each in together))
            if len(between) > 1:
                where = f"same-state/{workload}/{together[0]}"
                yield due("same_state_other_losses", where, tuple(together), workload=workload, classes=between)


def _by_state(records: Iterable[Record]) -> dict[str, list[str]]:
    """Return the cells by the bits of their weights after the last update."""
    found: dict[str, list[str]] = {}
    for each in records:
        state = json.dumps(each.trajectories[0].state)
        found.setdefault(state, []).append(each.cell.id)
    return found
