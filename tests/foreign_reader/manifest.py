"""Reads snapshots out of a store, as src/manifest/FORMAT.md describes them and from nothing else.

A node is taken only in the one form in which it may be written: what was read could be written again, byte for byte.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from blake3 import blake3

from layout import Bytes, Refused, need
from store import Store, read_json

LONGEST_KEY = 65_536
MOST_ROWS = 2_048
MOST_KEY_BYTES = 1_048_576
MOST_COLUMNS = 64
FLAG, NUMBER, BYTES, ID = range(4)
GAPS = {1: "object", 2: "content", 3: "permissions", 4: "subtree", 5: "kind"}
PARTS = {"body": 8, "content": 16, "permissions": 24}
PAYLOAD_LAYOUTS = (BYTES, ID, NUMBER, BYTES, ID)
LEAF_LAYOUTS = {1: BYTES, 2: NUMBER, 3: NUMBER, 4: NUMBER, 5: BYTES, 6: FLAG} | {
    first + n: layout for first in PARTS.values() for n, layout in enumerate(PAYLOAD_LAYOUTS)
}
INNER_LAYOUTS = {1: ID, 2: NUMBER, 3: NUMBER, 4: NUMBER, 5: NUMBER}


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A node as it is written: keys, and by number the columns with one value (or None) per row."""

    level: int
    keys: list[bytes]
    columns: dict[int, list[Any]]

    def value(self, column: int, row: int) -> Any:
        return self.columns[column][row] if column in self.columns else None


@dataclasses.dataclass(frozen=True, slots=True)
class Payload:
    """Bytes of an entry: in the leaf, in one blob, in chunks, or in chunks that a blob lists."""

    length: int
    hash: bytes
    inline: bytes | None = None
    chunks: bytes | None = None
    list: bytes | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One object of a snapshot."""

    kind: str
    name: str
    id: str | None
    object_id: str | None
    modified_at: int | None
    size: int | None
    gap: str | None
    reason: str | None
    carried_over: bool
    payloads: dict[str, Payload]
    unknown: dict[int, Any]


@dataclasses.dataclass(slots=True)
class Totals:
    """What a row above the leaves sums up, and the head for the whole."""

    entries: int = 0
    bytes: int = 0
    gaps: int = 0
    carried_over: int = 0

    def add(self, entry: Entry) -> None:
        self.entries += 1
        self.bytes += sum(payload.length for payload in entry.payloads.values())
        self.gaps += entry.gap is not None
        self.carried_over += entry.carried_over

    def minus(self, other: "Totals") -> "Totals":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other))
        return Totals(*(mine - others for mine, others in pairs))


def parse_head(data: bytes, what: str) -> dict[str, Any]:
    head = read_json(data, what)
    version = head.get("format")
    need(version == 1, f"{what} has format {version}, which needs a newer reader")
    root = head.get("root")
    good = isinstance(root, dict) and isinstance(root.get("node"), str) and isinstance(root.get("levels"), int)
    need(good, f"{what} does not name a root")
    return head


def head_totals(counts: dict[str, int]) -> Totals:
    return Totals(*(counts.get(name, 0) for name in ("entries", "bytes", "gaps", "carried_over")))


class Manifest:
    """The manifest of one snapshot; walking it checks everything that can be checked without the payloads."""

    def __init__(self, store: Store, head: dict[str, Any]) -> None:
        self.store, self.root = store, head["root"]
        self.nodes = 0
        self.totals = Totals()

    def entries(self) -> Iterator[Entry]:
        """All entries, sorted by key."""
        try:
            top, level = bytes.fromhex(self.root["node"]), self.root["levels"] - 1
        except ValueError:
            raise Refused(f"the root {self.root['node']!r} is no id") from None
        self.nodes, self.totals = 0, Totals()
        previous = b""
        for key, entry in self._below(top, level, None, True):
            need(previous < key, f"the key {key!r} is out of order")
            previous = key
            yield entry
        need(self.totals == head_totals(self.root), "the totals of the root do not fit its entries")

    def _below(self, blob: bytes, level: int, first: bytes | None, last: bool) -> Iterator[tuple[bytes, Entry]]:
        """The entries of a node of which the row above says this level and first key."""
        what = f"the node {blob.hex()}"
        node = parse_node(self.store.read(blob), what)
        self.nodes += 1
        need(node.level == level, f"{what} has level {node.level} instead of {level}")
        need(first is None or node.keys[:1] == [first], f"{what} does not begin with the key {first!r}")
        need(first is not None or level == 0 or len(node.keys) > 1, f"{what} is a top without need")
        need(last or ends(node), f"{what} ends where no node may end")
        need(not any(ends(node, rows) for rows in range(1, len(node.keys))), f"{what} goes on where it must end")
        for row, key in enumerate(node.keys):
            if level == 0:
                entry = make_entry(node, row, f"{what}, row {row},")
                self.totals.add(entry)
                yield key, entry
                continue
            below = node.value(1, row)
            need(below is not None, f"{what}, row {row}, names no node")
            before = dataclasses.replace(self.totals)
            yield from self._below(below, level - 1, key, last and row + 1 == len(node.keys))
            claimed = Totals(*(node.value(column, row) or 0 for column in (2, 3, 4, 5)))
            need(self.totals.minus(before) == claimed, f"{what}, row {row}, does not sum up what is below it")


def ends(node: Node, rows: int | None = None) -> bool:
    """Whether a node of the first `rows` of these rows ends there by the rules."""
    keys = node.keys[:rows]
    if blake3(keys[-1]).digest()[0] == 0 and (node.level == 0 or len(keys) > 1):
        return True
    return len(keys) >= MOST_ROWS or sum(map(len, keys)) >= MOST_KEY_BYTES


def parse_node(data: bytes, what: str) -> Node:
    source = Bytes(data, what)
    version = source.byte()
    need(version == 1, f"{what} has format {version}, which needs a newer reader")
    level, rows = source.byte(), source.number(64, True)
    need(rows <= MOST_ROWS, f"{what} claims {rows} rows")
    need(rows > 0 or level == 0, f"{what} is above the leaves and has no rows")
    shared = [source.number(64, True) for _ in range(rows)]
    lengths = [source.number(64, True) for _ in range(rows)]
    keys: list[bytes] = []
    previous = b""
    for common, length in zip(shared, lengths):
        need(common <= len(previous) and common + length <= LONGEST_KEY, f"{what} has a key of impossible length")
        key = previous[:common] + source.take(length)
        need(not keys or previous < key, f"{what} has keys out of order")
        need(previous[common : common + 1] != key[common : common + 1], f"{what} shares less of a key than it could")
        keys.append(key)
        previous = key
    layouts = LEAF_LAYOUTS if level == 0 else INNER_LAYOUTS
    columns: dict[int, list[Any]] = {}
    while source.left():
        number, layout = divmod(source.number(64, True), 4)
        need(not columns or number > max(columns), f"{what} has columns out of order")
        need(len(columns) < MOST_COLUMNS, f"{what} has more than {MOST_COLUMNS} columns")
        need(layouts.get(number, layout) == layout, f"{what} has column {number} in the layout {layout}")
        content = Bytes(source.take(source.number(64, True)), f"column {number} of {what}")
        columns[number] = parse_column(content, layout, rows)
    return Node(level, keys, columns)


def parse_column(source: Bytes, layout: int, rows: int) -> list[Any]:
    """One value, or None, for each row; a flag is True or None."""
    present = [True] * rows
    if layout == FLAG or source.byte_of(0, 1):
        bits = int.from_bytes(source.take((rows + 7) // 8), "little")
        need(bits >> rows == 0, f"{source.what} has a bitmap with bits of no row")
        present = [bits >> row & 1 == 1 for row in range(rows)]
        need(layout == FLAG or not all(present), f"{source.what} has a bitmap and needs none")
    count = sum(present)
    need(count > 0, f"{source.what} has no value")
    values: list[Any] = [True] * count
    if layout == NUMBER:
        values = [source.number(64, True) for _ in range(count)]
    elif layout == BYTES:
        values = [source.take(length) for length in [source.number(64, True) for _ in range(count)]]
    elif layout == ID:
        values = [source.take(32) for _ in range(count)]
    source.end()
    rest = iter(values)
    return [next(rest) if there else None for there in present]


def text(data: bytes | None, what: str) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        raise Refused(f"{what} has text that is not UTF-8") from None


def make_entry(node: Node, row: int, what: str) -> Entry:
    parts = [text(part, what) or "" for part in node.keys[row].split(b"\0")]
    need(len(parts) in (2, 3) and parts[0] != "", f"{what} has an impossible key")
    gap, modified = node.value(4, row), node.value(2, row)
    need(gap is None or gap in GAPS, f"{what} has the unknown gap {gap}")
    payloads = {name: make_payload(node, row, first, f"{what} {name}:") for name, first in PARTS.items()}
    unknown = {number: values[row] for number, values in node.columns.items() if number not in LEAF_LAYOUTS}
    return Entry(
        kind=parts[0],
        name=parts[1],
        id=parts[2] if len(parts) == 3 else None,
        object_id=text(node.value(1, row), what),
        modified_at=None if modified is None else modified >> 1 if modified & 1 == 0 else -(modified >> 1) - 1,
        size=node.value(3, row),
        gap=GAPS.get(gap),
        reason=None if gap is None else text(node.value(5, row) or b"", what),
        carried_over=node.value(6, row) is True,
        payloads={name: payload for name, payload in payloads.items() if payload is not None},
        unknown={number: value for number, value in unknown.items() if value is not None},
    )


def make_payload(node: Node, row: int, first: int, what: str) -> Payload | None:
    inline, whole, length, chunks, chunk_list = (node.value(first + n, row) for n in range(5))
    if whole is None:
        need((length, chunks, chunk_list) == (None, None, None), f"{what} it has no hash")
        return None if inline is None else Payload(len(inline), blake3(inline).digest(), inline)
    need(inline is None and length is not None, f"{what} it has a hash and no length, or bytes beside it")
    need(chunks is None or chunk_list is None, f"{what} its chunks are listed twice")
    need(chunks is None or len(chunks) % 32 == 0, f"{what} its list of chunks is cut off")
    return Payload(length, whole, None, chunks, chunk_list)


def read_payload(store: Store, payload: Payload) -> bytes:
    """The bytes of a payload, with the length and the hash that the entry promises."""
    if payload.inline is not None:
        return payload.inline
    ids = payload.chunks if payload.list is None else store.read(payload.list)
    if ids is None:
        ids = payload.hash
    need(len(ids) % 32 == 0, f"the list of chunks of {payload.hash.hex()} is cut off")
    data = b"".join(store.read(ids[at : at + 32]) for at in range(0, len(ids), 32))
    need(len(data) == payload.length, f"{payload.hash.hex()} has {len(data)} bytes instead of {payload.length}")
    need(blake3(data).digest() == payload.hash, f"the chunks of {payload.hash.hex()} do not hash to it")
    return data
