"""The files of a store byte by byte, as src/store/FORMAT.md describes them and from nothing else.

What is not understood here is refused by name, and never guessed.
"""

import dataclasses
import itertools
import pathlib
import struct

import zstandard
from blake3 import blake3

MIB = 1 << 20
LARGEST_BLOB = 64 * MIB
LARGEST_DIRECTORY = 16 * MIB
DEEPEST = 64
KINDS = {1: "data", 2: "node"}
RAW, SOLID, PATCH = 0, 1, 2

PACK_HEADER = struct.Struct("<8sBBHI16s")
PACK_TRAILER = struct.Struct("<IIII16sQ8s")
FRAME_HEADER = struct.Struct("<BBHIQ")
SEGMENT_HEADER = struct.Struct("<8sBBHIIIQ")
SEGMENT_PACK = struct.Struct("<32sIB3s")
SEGMENT_ENTRY = struct.Struct("<32sIIIII")


class Refused(Exception):
    """Something that a reader must not accept; the message says what, and where."""


def need(condition: bool, message: str) -> None:
    if not condition:
        raise Refused(message)


def blob_id(kind: int, data: bytes) -> bytes:
    return (blake3(data, derive_key_context="dbsnap 1 node") if kind == 2 else blake3(data)).digest()


class Bytes:
    """A run of bytes that is read from front to back; wanting more than there is refuses."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.at, self.what = data, 0, what

    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        need(count <= self.left(), f"{self.what} ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def byte_of(self, *allowed: int) -> int:
        byte = self.byte()
        need(byte in allowed, f"{self.what} has the byte {byte} where only {allowed} can be")
        return byte

    def number(self, bits: int, shortest: bool) -> int:
        """Seven bits to a byte, the lowest first; every byte but the last has its high bit set."""
        value = 0
        for shift in range(0, bits, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                need(value < 1 << bits, f"{self.what} has a number of more than {bits} bits")
                need(not shortest or byte > 0 or shift == 0, f"{self.what} has a number that is longer than it must be")
                return value
        raise Refused(f"{self.what} has a number that does not end")

    def end(self) -> None:
        need(self.left() == 0, f"{self.what} has {self.left()} bytes too many")


def inflate(data: bytes, length: int, limit: int, what: str, prefix: bytes = b"") -> bytes:
    """Decompresses one zstd frame to exactly `length` bytes, and never makes more."""
    need(length <= limit, f"{what} claims {length} bytes, more than any may have")
    dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    try:
        claimed = zstandard.frame_content_size(data)
        need(claimed in (-1, length), f"{what} decompresses to {claimed} bytes instead of {length}")
        machine = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=4 * LARGEST_BLOB)
        # The library takes a limit of 0 for none.
        result = machine.decompress(data, max_output_size=max(length, 1), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Refused(f"{what} does not decompress: {error}") from None
    need(len(result) == length, f"{what} decompresses to {len(result)} bytes instead of {length}")
    return result


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where one copy of a blob lies."""

    pack: str
    offset: int
    stored: int
    start: int
    length: int


@dataclasses.dataclass(frozen=True, slots=True)
class Pack:
    """A pack whose header was read."""

    path: pathlib.Path
    size: int
    kind: int


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the index: packs as (id, size, kind), and where blobs lie."""

    superseded: list[str]
    packs: list[tuple[str, int, int]]
    entries: list[tuple[bytes, Place]]


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A frame as the directory of its pack describes it."""

    offset: int
    stored: int
    raw: int
    codec: int
    depth: int
    base: bytes | None
    blobs: list[tuple[bytes, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A frame as it is stored: what its header says, and the payload."""

    codec: int
    depth: int
    count: int
    raw: int
    base: bytes | None
    payload: bytes


def relative(file: pathlib.Path) -> str:
    """The name of a file as people find it in the store."""
    parts = file.parts
    return "/".join(parts[-3:] if len(parts) > 2 and parts[-3] == "packs" else parts[-2:])


def read_at(file: pathlib.Path, offset: int, length: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(offset)
        data = stream.read(length)
    need(len(data) == length, f"{relative(file)} ends too early")
    return data


def open_pack(file: pathlib.Path) -> Pack:
    what, size = relative(file), file.stat().st_size
    need(PACK_HEADER.size + PACK_TRAILER.size <= size < 1 << 32, f"{what} has an impossible length of {size} bytes")
    magic, version, kind, flags, zero, _nonce = PACK_HEADER.unpack(read_at(file, 0, PACK_HEADER.size))
    need(magic == b"DBSNPACK", f"{what} is not a pack")
    need(version == 1, f"{what} has format {version}, which needs a newer reader")
    need(flags == 0 and zero == 0, f"{what} has flags that need a newer reader")
    need(kind in KINDS, f"{what} holds the unknown kind {kind}")
    return Pack(file, size, kind)


def check_frame(codec: int, depth: int, count: int, raw: int, what: str) -> None:
    """What must hold for a frame, whoever says it."""
    need(raw <= LARGEST_BLOB, f"{what} claims {raw} bytes, more than any may have")
    need(depth <= DEEPEST, f"{what} has a depth of {depth}")
    need(count > 0, f"{what} has no blobs")
    if codec in (RAW, SOLID):
        need(depth == 0, f"{what} has a depth and no base")
    if codec == PATCH:
        need(depth > 0 and count == 1, f"{what} is a patch of depth {depth} with {count} blobs")


def parse_directory(data: bytes, frames: int, blobs: int, end: int, what: str) -> list[Listed]:
    need(5 * frames + 33 * blobs <= len(data), f"{what} is too short for what the trailer says")
    source = Bytes(data, what)
    stored, raw = ([source.number(32, False) for _ in range(frames)] for _ in range(2))
    codecs, depths = source.take(frames), source.take(frames)
    counts = [source.number(32, False) for _ in range(frames)]
    need(all(count < 65536 for count in counts), f"{what} has a frame with too many blobs")
    need(sum(counts) == blobs, f"{what} has another number of blobs than the trailer says")
    lengths = [source.number(32, False) for _ in range(blobs)]
    bases = [source.take(32) if codec == PATCH else None for codec in codecs]
    ids = [source.take(32) for _ in range(blobs)]
    source.end()
    result, offset, first = [], PACK_HEADER.size, 0
    for number, count in enumerate(counts):
        own = list(zip(ids[first : first + count], lengths[first : first + count]))
        check_frame(codecs[number], depths[number], count, raw[number], f"{what}, frame {number}:")
        need(sum(length for _, length in own) == raw[number], f"{what}: the lengths in frame {number} do not add up")
        result.append(Listed(offset, stored[number], raw[number], codecs[number], depths[number], bases[number], own))
        offset, first = offset + stored[number], first + count
    need(offset == end, f"{what}: the frames do not end where it begins")
    return result


def read_segment(file: pathlib.Path) -> Segment:
    what, data = relative(file), file.read_bytes()
    need(blake3(data).hexdigest() == file.name[-64:], f"{what} does not hash to its name")
    source = Bytes(data, what)
    magic, version, bits, flags, s, p, n, zero = SEGMENT_HEADER.unpack(source.take(SEGMENT_HEADER.size))
    need(magic == b"DBSNIDX1", f"{what} is not a segment")
    need(version == 1, f"{what} has format {version}, which needs a newer reader")
    need(flags == 0 and zero == 0, f"{what} has flags that need a newer reader")
    need(bits <= 16, f"{what} has a fan-out of {bits} bits")
    digest = source.take(32)
    need(len(data) == 64 + 33 * s + 40 * p + (4 << bits) + 52 * n, f"{what} has another length than its header says")
    superseded = [f"{level[0]}-{name.hex()}" for level, name in ((source.take(1), source.take(32)) for _ in range(s))]
    rows = [SEGMENT_PACK.unpack(source.take(SEGMENT_PACK.size)) for _ in range(p)]
    need(all(row[3] == b"\0\0\0" and row[2] in KINDS for row in rows), f"{what} has packs of a later format")
    fan_out = struct.unpack(f"<{1 << bits}I", source.take(4 << bits))
    need(blake3(data[:32] + data[64 : source.at]).digest() == digest, f"{what}: its tables do not hash to what it says")
    packs = [(name.hex(), size, kind) for name, size, kind, _ in rows]
    entries, counts, previous = [], [0] * (1 << bits), b""
    for _ in range(n):
        blob, number, offset, stored, start, length = SEGMENT_ENTRY.unpack(source.take(SEGMENT_ENTRY.size))
        need(number < p, f"{what} has an entry in a pack that it does not list")
        need(previous <= blob, f"{what} is not sorted")
        counts[int.from_bytes(blob[:2], "big") >> 16 - bits] += 1
        entries.append((blob, Place(packs[number][0], offset, stored, start, length)))
        previous = blob
    need(list(fan_out) == list(itertools.accumulate(counts)), f"{what} has a fan-out that does not fit its entries")
    return Segment(superseded, packs, entries)
