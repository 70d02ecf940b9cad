"""What a run's fold has to keep and seldom looks at lies in a file, by key: a shelf.

A watcher holds a run for as long as he looks at it, and a run has no end. So its posts, claims and
experiments are records in one nameless temporary file; a few hundred of each kind, the ones used
last, are objects in memory, and all that stays of another one is where it lies (`ENTRY_BYTES`).
`Shelved` looks like a dict in order of insertion. Whoever is to keep a change made to a record asks
for it with ``[]``, ``get`` or ``setdefault`` while the shelf `is_writing`: it is written when
others push it out of memory. Walking over ``values()`` or ``items()`` pushes nothing out, and what
it gives is only to be read. `community.archive.watched` says what lies on one.
"""

from __future__ import annotations

import marshal
import os
import tempfile
import weakref
from array import array
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from typing import Any, Final, Generic, NamedTuple, TypeVar, overload

K = TypeVar("K", bound=str | tuple[str, ...])
V = TypeVar("V")
T = TypeVar("T")

LOADED: Final = 512
"""Records of one kind that are objects in memory."""
ENTRY_BYTES: Final = 28
"""What stays in memory of a record: its key's hash (8), its place in the file (8), and 4 in a table
that is between a third and two thirds full."""
_LENGTH_BITS: Final = 28
"""Of a place, the rest is the offset: records of up to 256 MiB in files of up to 64 GiB."""


class Shelf:
    """A temporary file of records, gone with this object; in the folder that ``TMPDIR`` names."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)
        self.size_bytes = 0
        self.is_writing = False
        """Whether records that are asked for may be changed by whoever asks."""

    def put(self, record: bytes) -> int:
        """Write a record behind the others; returns its place.

        Raises:
            OSError: there is no room for it.
        """
        written = os.pwrite(self._descriptor, record, self.size_bytes)
        if written < len(record):
            raise OSError(28, "No space left on device")
        place = self.size_bytes << _LENGTH_BITS | len(record)
        self.size_bytes += len(record)
        return place

    def at(self, place: int) -> bytes:
        """Return the record at a place."""
        length = place & (1 << _LENGTH_BITS) - 1
        return os.pread(self._descriptor, length, place >> _LENGTH_BITS)


class Form(NamedTuple, Generic[V]):
    """How values of one kind are written."""

    pack: Callable[[V], object]
    """Returns tuples, lists, dicts, strings and numbers."""
    unpack: Callable[[Any], V]
    is_changed: bool = False
    """Whether values change after they were put there; if not they are written once."""
    is_shared: bool = False
    """Whether somebody may still hold one that was pushed out of memory, and has to hold the same
    one that is given out later."""


class Shelved(Mapping[K, V]):
    """Values by key, in the order in which the keys came.

    Args:
        shelf: Where they lie.
        form: How they are written.
    """

    def __init__(self, shelf: Shelf, form: Form[V]) -> None:
        self._shelf, self._form, self._most = shelf, form, LOADED
        self._shared: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._hashes, self._places = array("q"), array("Q")
        self._table = array("I", bytes(4 * 64))
        self._loaded: dict[int, tuple[K, V]] = {}
        """By number, those used last at the end."""
        self._unwritten: set[int] = set()
        self._shared.clear()

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, key: object) -> bool:
        return self._find(key) is not None

    def __getitem__(self, key: K) -> V:
        found = self._find(key)
        if found is None:
            raise KeyError(key)
        return self._used(found)

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | T, /) -> V | T: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """Return a value, or `default`."""
        found = self._find(key)
        return default if found is None else self._used(found)

    def setdefault(self, key: K, default: V) -> V:
        """Return a value, `default` from now on where there was none."""
        found = self._find(key)
        if found is not None:
            return self._used(found)
        self[key] = default
        return default

    def __setitem__(self, key: K, value: V) -> None:
        number = self._find(key)
        if number is None:
            number = len(self._hashes)
            self._hashes.append(hash(key))
            self._places.append(0)
            if 3 * (number + 1) > 2 * len(self._table):
                self._grow()
            else:
                self._enter(number)
        self._unwritten.add(number)
        if self._form.is_shared:
            self._shared[number] = value
        self._load(number, key, value)

    def number(self, key: K) -> int | None:
        """Return which key it is, from 0; None of one that is not here."""
        return self._find(key)

    def at(self, number: int) -> tuple[K, V]:
        """Return the key that came as the `number`-th, and its value, to be read."""
        known = self._loaded.get(number)
        return known if known is not None else self._read(number)

    def __iter__(self) -> Iterator[K]:
        return (self.at(number)[0] for number in range(len(self)))

    def __reversed__(self) -> Iterator[K]:
        return (self.at(number)[0] for number in reversed(range(len(self))))

    def values(self) -> _Values[V]:
        """Return the values, to be read."""
        return _Values(self)

    def items(self) -> _Items[K, V]:
        """Return keys and values, to be read."""
        return _Items(self)

    def _find(self, key: object) -> int | None:
        """Return the number of a key."""
        wanted, mask = hash(key), len(self._table) - 1
        slot = wanted & mask
        while entry := self._table[slot]:
            if self._hashes[entry - 1] == wanted:
                if entry - 1 not in self._loaded:
                    self._load(entry - 1, *self._read(entry - 1))
                if self._loaded[entry - 1][0] == key:
                    return entry - 1
            slot = (slot + 1) & mask
        return None

    def _enter(self, number: int) -> None:
        mask = len(self._table) - 1
        slot = self._hashes[number] & mask
        while self._table[slot]:
            slot = (slot + 1) & mask
        self._table[slot] = number + 1

    def _grow(self) -> None:
        self._table = array("I", bytes(8 * len(self._table)))
        for number in range(len(self._hashes)):
            self._enter(number)

    def _used(self, number: int) -> V:
        """Return a value that is in memory, as the one used last."""
        entry = self._loaded[number] = self._loaded.pop(number)
        if self._shelf.is_writing and self._form.is_changed:
            self._unwritten.add(number)
        return entry[1]

    def _load(self, number: int, key: K, value: V) -> None:
        """Hold a record in memory, in place of the one that was not used for longest."""
        if self._form.is_shared:
            value = self._shared.setdefault(number, value)
        self._loaded.pop(number, None)
        self._loaded[number] = (key, value)
        if len(self._loaded) > self._most:
            oldest = next(iter(self._loaded))
            record = self._loaded.pop(oldest)
            if oldest in self._unwritten:
                self._unwritten.remove(oldest)
                packed: Any = self._form.pack(record[1])
                self._places[oldest] = self._shelf.put(marshal.dumps((record[0], packed)))

    def _read(self, number: int) -> tuple[K, V]:
        # written by this process alone, to a file that has no name
        key, packed = marshal.loads(self._shelf.at(self._places[number]))  # noqa: S302
        return key, self._form.unpack(packed)


Kept = dict[K, V] | Shelved[K, V]
"""Values by key, all in memory or on a shelf."""


class InOrder(Sequence[V]):
    """Some of the values of one shelf in an order of their own, to be read; 4 bytes each.

    Args:
        shelved: All of them.
        key_of: Returns what a value lies under.
    """

    def __init__(self, shelved: Shelved[Any, V], key_of: Callable[[V], Any]) -> None:
        self._shelved, self._key_of = shelved, key_of
        self._numbers = array("I")

    def append(self, value: V) -> None:
        """Add one that is on the shelf."""
        number = self._shelved.number(self._key_of(value))
        assert number is not None
        self._numbers.append(number)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> V: ...
    @overload
    def __getitem__(self, place: slice) -> list[V]: ...
    def __getitem__(self, place: int | slice) -> V | list[V]:
        if isinstance(place, slice):
            return [self._shelved.at(number)[1] for number in self._numbers[place]]
        return self._shelved.at(self._numbers[place])[1]

    def __iter__(self) -> Iterator[V]:
        return (self._shelved.at(number)[1] for number in self._numbers)


class Roll(Sequence[V]):
    """Values without a key, in the order in which they came; 8 bytes each stay in memory.

    Args:
        shelf: Where they lie.
        form: How they are written; they do not change.
    """

    def __init__(self, shelf: Shelf, form: Form[V]) -> None:
        self._shelf, self._form, self._places = shelf, form, array("Q")

    def append(self, value: V) -> None:
        """Add a value."""
        packed: Any = self._form.pack(value)
        self._places.append(self._shelf.put(marshal.dumps(packed)))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> V: ...
    @overload
    def __getitem__(self, place: slice) -> list[V]: ...
    def __getitem__(self, place: int | slice) -> V | list[V]:
        if isinstance(place, slice):
            return [self._at(each) for each in self._places[place]]
        return self._at(self._places[place])

    def _at(self, place: int) -> V:
        return self._form.unpack(marshal.loads(self._shelf.at(place)))  # noqa: S302 - as above


class _Values(ValuesView[V]):
    def __init__(self, shelved: Shelved[Any, V]) -> None:
        super().__init__(shelved)
        self._shelved = shelved

    def __iter__(self) -> Iterator[V]:
        return (self._shelved.at(number)[1] for number in range(len(self._shelved)))

    def __reversed__(self) -> Iterator[V]:
        return (self._shelved.at(number)[1] for number in reversed(range(len(self._shelved))))


class _Items(ItemsView[K, V]):
    def __init__(self, shelved: Shelved[K, V]) -> None:
        super().__init__(shelved)
        self._shelved = shelved

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return (self._shelved.at(number) for number in range(len(self._shelved)))

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return (self._shelved.at(number) for number in reversed(range(len(self._shelved))))
