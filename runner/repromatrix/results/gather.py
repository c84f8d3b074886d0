"""The experiments and replayed operations of several results folders -> one, with all that they stand on.

The pairs of all folders are brought together. Of a pair that several explained, the one of the merged run is taken.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from repromatrix.results.experiments import ORIGINS, Experiments, Pair
from repromatrix.results.pieces import Kind, Piece, Pieces
from repromatrix.results.replays import ListedCell, ReplayedCell, ReplayedPair, ReplayIndex
from repromatrix.results.store import Store

_ValueT = TypeVar("_ValueT", Pair, ReplayedPair, ListedCell)
# What an answer is to, whichever key it has -> the answer.
_Evidence = Mapping[str, Piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What all folders know.

    Attributes:
        remarks: what was not taken, and what is not there, in words.
    """

    experiments: Experiments
    index: ReplayIndex
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer(Generic[_ValueT]):
    """What one folder says of a pair or a cell.

    Attributes:
        fits: whether it is of the merged run.
        poor: the less the better, of those that fit equally.
        stands_on: what must be the same where another folder says something else.
        more: what else it stands on.
    """

    value: _ValueT
    store: Store
    fits: bool
    poor: int
    stands_on: _Evidence
    more: tuple[Piece, ...] = ()

    @property
    def wanted(self) -> tuple[Store, tuple[Piece, ...]]:
        """The folder, and all that must come from it."""
        return self.store, (*self.stands_on.values(), *self.more)


def gather(stores: Sequence[Store], keys: Mapping[str, str | None], pieces: Pieces) -> Gathered:
    """Bring the experiments and replayed operations of folders together, and add what they stand on to the pieces.

    Args:
        stores: the folders.
        keys: cell id -> key, of the merged run.
        pieces: what is taken so far.

    Raises:
        ResultsError: something is damaged, or two folders have other numbers behind the same pair or the same cell.
    """
    indexes = [(store, store.read_replay_index()) for store in stores]
    tried = _grouped(
        (each.cells, _of_pair(each, store, keys)) for store in stores for each in store.read_experiments().pairs
    )
    pairs = _grouped(
        ((each.a, each.b), _of_replayed(each, store, keys)) for store, some in indexes for each in some.pairs
    )
    listed = _grouped((each.cell, _of_listing(each, store)) for store, some in indexes for each in some.listed)
    remarks = [
        *_absent((each.wanted for group in tried for each in group), pieces),
        *_absent((each.wanted for group in pairs for each in group), pieces),
        *_absent((each.wanted for group in listed for each in group), pieces),
        *(remark for group in tried for remark in _left(group, pieces, _pair_words, _bare)),
        *(remark for group in pairs for remark in _left(group, pieces, _replayed_words, _itself)),
        *(remark for group in listed for remark in _left(group, pieces, _listing_words, _itself)),
    ]
    return Gathered(
        experiments=Experiments(pairs=tuple(_with_every_origin(group) for group in tried)),
        index=ReplayIndex(
            pairs=tuple(_best(group).value for group in pairs),
            listed=tuple(_best(group).value for group in listed),
        ),
        remarks=tuple(remarks),
    )


def _grouped(offers: Iterable[tuple[object, _Offer[_ValueT]]]) -> list[list[_Offer[_ValueT]]]:
    found: dict[object, list[_Offer[_ValueT]]] = {}
    for of, offer in offers:
        found.setdefault(of, []).append(offer)
    return list(found.values())


def _best(group: Sequence[_Offer[_ValueT]]) -> _Offer[_ValueT]:
    return min(group, key=lambda each: (not each.fits, each.poor))


def _with_every_origin(group: Sequence[_Offer[Pair]]) -> Pair:
    of = {origin for each in group for origin in each.value.of}
    return replace(_best(group).value, of=tuple(origin for origin in ORIGINS if origin in of))


def _left(
    group: Sequence[_Offer[_ValueT]],
    pieces: Pieces,
    words: Callable[[_ValueT], str],
    essence: Callable[[_ValueT], _ValueT],
) -> Iterator[str]:
    """Yield in words what is not taken of a group.

    Raises:
        ResultsError: two that fit equally stand on other numbers.
    """
    best = _best(group)
    for each in group:
        if essence(each.value) == essence(best.value):
            continue
        if each.fits == best.fits:
            for question, piece in each.stands_on.items():
                known = best.stands_on.get(question, piece)
                if known != piece:
                    pieces.check((known, best.store), (piece, each.store))
        why = "those are of the merged run" if best.fits and not each.fits else "the numbers do not contradict them"
        yield f"{words(each.value)} in {each.store.folder}: taken from {best.store.folder}, {why}"


def _absent(wanted: Iterable[tuple[Store, tuple[Piece, ...]]], pieces: Pieces) -> Iterator[str]:
    """Add what is wanted, and yield in words what none of the folders has."""
    found: dict[tuple[Store, Kind], dict[Piece, None]] = {}
    for store, some in wanted:
        for piece in some:
            pieces.add(piece, store)
            found.setdefault((store, piece.kind), {})[piece] = None
    for (store, kind), named in found.items():
        gone = [each for each in named if each not in pieces]
        if gone:
            cells = list(dict.fromkeys(each.cell for each in gone))
            first = cells[0] + (f" and {len(cells) - 1} more cells" if len(cells) > 1 else "")
            stand_on = f"stand on {len(gone)} {kind}s that are gone, of {first}"
            yield f"experiments and replayed operations in {store.folder} {stand_on}"


def _of_pair(pair: Pair, store: Store, keys: Mapping[str, str | None]) -> _Offer[Pair]:
    return _Offer(
        value=pair,
        store=store,
        fits=bool(Experiments(pairs=(pair,)).fitting(keys).pairs),
        poor=-pair.spent,
        stands_on={run.id: Piece(kind=Kind.RECORD, cell=run.id, key=run.key) for run in pair.runs},
    )


def _of_replayed(pair: ReplayedPair, store: Store, keys: Mapping[str, str | None]) -> _Offer[ReplayedPair]:
    ends = [each for each in (pair.left, pair.right) if each is not None]
    found: dict[str, Piece] = {}
    for side, end in zip(("left", "right"), ends, strict=False):
        found |= {f"{end.cell}": Piece(kind=Kind.RECORD, cell=end.cell, key=end.record), **_replays(side, end)}
    return _Offer(
        value=pair,
        store=store,
        fits=pair.is_of(keys),
        poor=int(pair.reason is not None),
        stands_on=found,
        more=tuple(Piece(kind=Kind.TRACE, cell=each.cell, key=each.trace) for each in ends),
    )


def _replays(side: str, end: ReplayedCell) -> dict[str, Piece]:
    named = {"own": end.own, "other": end.other}
    named |= {f"recorded {name}": key for name, key in end.recorded} | {f"fresh {name}": key for name, key in end.fresh}
    return {f"{side} {end.cell} {name}": _replay(end.cell, key) for name, key in named.items()}


def _of_listing(listing: ListedCell, store: Store) -> _Offer[ListedCell]:
    found = {name: _replay(listing.cell, key) for name, key in listing.fresh}
    return _Offer(value=listing, store=store, fits=True, poor=0, stands_on=found)


def _replay(cell: str, key: str) -> Piece:
    return Piece(kind=Kind.REPLAY, cell=cell, key=key)


def _bare(pair: Pair) -> Pair:
    return replace(pair, of=())


def _itself(value: _ValueT) -> _ValueT:
    return value


def _pair_words(pair: Pair) -> str:
    return f"experiments on {pair.a.id} and {pair.b.id}"


def _replayed_words(pair: ReplayedPair) -> str:
    return f"operations of {pair.a} and {pair.b}"


def _listing_words(listing: ListedCell) -> str:
    return f"operations of {listing.cell}"
