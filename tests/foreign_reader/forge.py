"""Writes stores that are well made but for one thing, so that it is this one thing that a reader refuses."""

import dataclasses
import json
import pathlib
import struct

import xxhash
import zstandard
from blake3 import blake3

from layout import (
    FRAME_HEADER,
    PACK_HEADER,
    PACK_TRAILER,
    PATCH,
    RAW,
    SEGMENT_ENTRY,
    SEGMENT_HEADER,
    SEGMENT_PACK,
    blob_id,
)

CONFIGURATION = {
    "dbsnap": "store",
    "format": 1,
    "id": "00" * 16,
    "created": "2026-03-09T07:05:04Z",
    "encryption": "none",
    "chunker": {"algorithm": "fastcdc-2020", "min": 262144, "average": 1048576, "max": 4194304},
    "features": {"read": [], "write": []},
}
# What the checksum of the configuration is made with.
NO_CHECK = "0" * 64
TIME = "20260309T070504.000Z"


@dataclasses.dataclass
class Frame:
    """A frame to be; whatever is None follows from the rest."""

    blobs: list[bytes]
    codec: int = RAW
    depth: int = 0
    base: bytes | None = None
    payload: bytes | None = None
    raw: int | None = None
    checksum: int | None = None
    ids: list[bytes] | None = None

    def bytes(self) -> bytes:
        payload = b"".join(self.blobs) if self.payload is None else self.payload
        checksum = xxhash.xxh3_64_intdigest(payload) if self.checksum is None else self.checksum
        header = FRAME_HEADER.pack(self.codec, self.depth, len(self.blobs), self.length(), checksum)
        return header + ((self.base or b"") if self.codec == PATCH else b"") + payload

    def length(self) -> int:
        return sum(map(len, self.blobs)) if self.raw is None else self.raw


def number(value: int, longer: int = 0) -> bytes:
    """Seven bits to a byte, with so many more bytes than are needed."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value | (0x80 if longer else 0))
    return bytes(result) + b"\x80" * (longer - 1) + (b"\0" if longer else b"")


def compressed(data: bytes, base: bytes = b"") -> bytes:
    prefix = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if base else None
    return zstandard.ZstdCompressor(dict_data=prefix).compress(data)


def pack(
    frames: list[Frame], kind: int = 1, version: int = 1, flags: int = 0, longer: int = 0, blobs: int | None = None
) -> bytes:
    stored = [frame.bytes() for frame in frames]
    ids = [frame.ids or [blob_id(kind, blob) for blob in frame.blobs] for frame in frames]
    columns = [
        b"".join(number(len(data), longer) for data in stored),
        b"".join(number(frame.length()) for frame in frames),
        bytes(frame.codec for frame in frames),
        bytes(frame.depth for frame in frames),
        b"".join(number(len(frame.blobs)) for frame in frames),
        b"".join(number(len(blob)) for frame in frames for blob in frame.blobs),
        b"".join(frame.base or b"" for frame in frames if frame.codec == PATCH),
        b"".join(blob for own in ids for blob in own),
    ]
    raw = b"".join(columns)
    directory = compressed(raw)
    half = blake3(directory).digest()[:16]
    count = sum(len(frame.blobs) for frame in frames) if blobs is None else blobs
    header = PACK_HEADER.pack(b"DBSNPACK", version, kind, flags, 0, b"n" * 16)
    trailer = PACK_TRAILER.pack(len(directory), len(raw), len(frames), count, half, 0, b"DBSNEND1")
    return header + b"".join(stored) + directory + trailer


def segment(data: bytes, entries: list[tuple[bytes, int, int, int, int]], version: int = 1, kind: int = 1) -> bytes:
    """A segment about one pack, with entries as (blob, offset, stored length, start, length)."""
    tables = SEGMENT_PACK.pack(blake3(data).digest(), len(data), kind, b"\0\0\0") + struct.pack("<I", len(entries))
    header = SEGMENT_HEADER.pack(b"DBSNIDX1", version, 0, 0, 0, 1, len(entries), 0)
    rows = b"".join(SEGMENT_ENTRY.pack(blob, 0, *place) for blob, *place in entries)
    return header + blake3(header + tables).digest() + tables + rows


def head(node: bytes, levels: int = 1, version: int = 1, **totals: int) -> bytes:
    """The head of a snapshot without entries, if nothing else is said."""
    root = {"node": node.hex(), "levels": levels, "entries": 0, "bytes": 0} | totals
    fields = {"format": version, "time": "2026-03-09T07:05:04Z", "host": "https://example.com", "workspace_id": None}
    more = {"cloud": None, "complete": True, "parent": None, "selection": {}, "kinds": {}, "gaps": {"count": 0}}
    return json.dumps(fields | more | {"store": CONFIGURATION["id"], "root": root}).encode()


def store(
    path: pathlib.Path,
    packs: tuple[bytes, ...] = (),
    segments: tuple[bytes, ...] = (),
    heads: tuple[bytes, ...] = (),
    **configuration: object,
) -> None:
    """A store of these files under the names that they must have."""
    path.mkdir()
    text = json.dumps(CONFIGURATION | configuration | {"check": NO_CHECK})
    (path / "dbsnap.json").write_text(text.replace(NO_CHECK, blake3(text.encode()).hexdigest()))
    for folder in ("packs", "index", "snapshots", "pending", "condemned"):
        (path / folder).mkdir()
    for data in packs:
        name = blake3(data).hexdigest()
        (path / "packs" / name[:2]).mkdir(exist_ok=True)
        (path / "packs" / name[:2] / name).write_bytes(data)
    for data in segments:
        (path / "index" / f"0-{blake3(data).hexdigest()}").write_bytes(data)
    for data in heads:
        (path / "snapshots" / f"{TIME}-{blake3(data).hexdigest()}").write_bytes(data)
