"""Finds and reads the blobs and heads of a store, as src/store/FORMAT.md describes it and from nothing else.

Every blob is checked before anybody sees it, wherever it was found.
"""

import collections
import functools
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import xxhash
from blake3 import blake3

from layout import (
    DEEPEST,
    FRAME_HEADER,
    LARGEST_BLOB,
    LARGEST_DIRECTORY,
    PACK_HEADER,
    PACK_TRAILER,
    PATCH,
    RAW,
    SOLID,
    Bytes,
    Listed,
    Pack,
    Place,
    Refused,
    Segment,
    Stored,
    blob_id,
    check_frame,
    inflate,
    need,
    open_pack,
    parse_directory,
    read_at,
    read_segment,
    relative,
)

TIMED = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{64}")
HEX_ID = re.compile(r"[0-9a-f]{64}")
SEGMENT_NAME = re.compile(r"(0|[1-9]\d{0,2})-([0-9a-f]{64})")


class Store:
    """An open store. Damage that does not keep other things from being read is added to `problems`."""

    def __init__(self, path: pathlib.Path, problems: list[str], use_index: bool = True) -> None:
        self.path, self.problems = path, problems
        self.configuration = read_configuration(path / "dbsnap.json")
        self.places: dict[bytes, list[Place]] = collections.defaultdict(list)
        self.packs: dict[str, Pack] = {}
        self.segments: dict[str, Segment] = {}
        self.stored: Callable[[str, int, int], Stored] = functools.lru_cache(maxsize=4)(self._stored)
        self.frame: Callable[[str, int, int], bytes] = functools.lru_cache(maxsize=4)(self._frame)
        for file in files(path, "packs/*/*", HEX_ID):
            if file.parent.name == file.name[:2]:
                with self.collecting():
                    self.packs[file.name] = open_pack(file)
        indexed = self._read_index() if use_index else set()
        for name in sorted(self.packs.keys() - indexed):
            with self.collecting():
                self._place_by_directory(name)

    def collecting(self) -> "Collecting":
        """A context that turns a refusal into an entry of `problems`."""
        return Collecting(self.problems)

    def read(self, blob: bytes, below: int = DEEPEST + 1) -> bytes:
        """The blob of this id, checked, from any copy in a frame whose depth is smaller than `below`."""
        reasons = []
        for place in self.places.get(blob, ()):
            try:
                # Before anything is decoded: it is what ends a chain of bases that would be a circle.
                depth = self.stored(place.pack, place.offset, place.stored).depth
                need(depth < below, f"a frame of depth {depth} is no base at depth {below}")
                frame = self.frame(place.pack, place.offset, place.stored)
                data = frame[place.start : place.start + place.length]
                need(len(data) == place.length, "its place lies outside the frame")
                need(blob_id(self.packs[place.pack].kind, data) == blob, "it does not hash to its id")
                return data
            except Refused as error:
                reasons.append(f"in {relative(self.packs[place.pack].path)}: {error}")
        raise Refused(f"blob {blob.hex()} cannot be read: {'; '.join(reasons) or 'it is in no pack'}")

    def heads(self, folder: str = "snapshots") -> list[pathlib.Path]:
        """The files of heads, intents or records, oldest first."""
        return files(self.path, f"{folder}/*", TIMED)

    def read_head(self, file: pathlib.Path) -> bytes:
        """A head, intent or record that hashes to the id in its name."""
        need(file.stat().st_size <= LARGEST_BLOB, f"{relative(file)} is too long")
        data = file.read_bytes()
        need(blake3(data).hexdigest() == file.name[-64:], f"{relative(file)} does not hash to its name")
        return data

    def directory(self, name: str) -> list[Listed]:
        """What the directory of a pack says."""
        pack = self.packs[name]
        what = f"the directory of {relative(pack.path)}"
        trailer = read_at(pack.path, pack.size - PACK_TRAILER.size, PACK_TRAILER.size)
        stored, raw, frames, blobs, half, zero, magic = PACK_TRAILER.unpack(trailer)
        need(magic == b"DBSNEND1", f"{relative(pack.path)} has no trailer")
        need(zero == 0, f"{relative(pack.path)} has a trailer of a later format")
        start = pack.size - PACK_TRAILER.size - stored
        need(start >= PACK_HEADER.size, f"{what} is longer than the pack")
        data = read_at(pack.path, start, stored)
        need(blake3(data).digest()[:16] == half, f"{what} does not hash to what the trailer says")
        return parse_directory(inflate(data, raw, LARGEST_DIRECTORY, what), frames, blobs, start, what)

    def _place_by_directory(self, name: str) -> None:
        for frame in self.directory(name):
            start = 0
            for blob, length in frame.blobs:
                self.places[blob].append(Place(name, frame.offset, frame.stored, start, length))
                start += length

    def _read_index(self) -> set[str]:
        """Fills `places` from the index, and returns the packs of which it knows."""
        for file in files(self.path, "index/*", SEGMENT_NAME):
            with self.collecting():
                if int(file.name.split("-")[0]) <= 255:
                    self.segments[file.name] = read_segment(file)
        superseded = {name for segment in self.segments.values() for name in segment.superseded}
        known: set[str] = set()
        for name in sorted(self.segments.keys() - superseded):
            segment = self.segments[name]
            good = set()
            for pack, size, kind in segment.packs:
                if pack in self.packs:
                    fits = (size, kind) == (self.packs[pack].size, self.packs[pack].kind)
                    with self.collecting():
                        need(fits, f"index/{name} has another size or kind of {relative(self.packs[pack].path)}")
                        good.add(pack)
            for blob, place in segment.entries:
                if place.pack in good:
                    self.places[blob].append(place)
            known |= good
        return known

    def _stored(self, name: str, offset: int, stored: int) -> Stored:
        """Reads a frame, and checks what can be checked before it is decoded."""
        pack = self.packs[name]
        what = f"the frame at {offset}"
        need(offset >= PACK_HEADER.size and offset + stored <= pack.size - PACK_TRAILER.size, f"{what} lies outside")
        source = Bytes(read_at(pack.path, offset, stored), what)
        codec, depth, count, raw, checksum = FRAME_HEADER.unpack(source.take(FRAME_HEADER.size))
        check_frame(codec, depth, count, raw, what)
        base = source.take(32) if codec == PATCH else None
        payload = source.take(source.left())
        need(xxhash.xxh3_64_intdigest(payload) == checksum, f"{what} has another checksum than its header says")
        return Stored(codec, depth, count, raw, base, payload)

    def _frame(self, name: str, offset: int, stored: int) -> bytes:
        """Decodes the frame at a place to its blobs, one after the other, which still have to be hashed."""
        frame, what = self.stored(name, offset, stored), f"the frame at {offset}"
        if frame.codec == RAW:
            need(len(frame.payload) == frame.raw, f"{what} has {len(frame.payload)} bytes instead of {frame.raw}")
            return frame.payload
        if frame.codec == SOLID:
            return inflate(frame.payload, frame.raw, LARGEST_BLOB, what)
        if frame.codec == PATCH and frame.base is not None:
            return inflate(frame.payload, frame.raw, LARGEST_BLOB, what, self.read(frame.base, below=frame.depth))
        raise Refused(f"{what} has the codec {frame.codec}, which needs a newer reader")


class Collecting:
    """Catches a refusal and keeps its message."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Refused):
            self.problems.append(str(error))
            return True
        return False


def files(path: pathlib.Path, pattern: str, name: re.Pattern[str]) -> list[pathlib.Path]:
    """The files of the store whose names have the right form; everything else is foreign."""
    return sorted(file for file in path.glob(pattern) if name.fullmatch(file.name) and file.is_file())


def read_json(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(f"{what} is not a JSON object")
    return value


def read_configuration(file: pathlib.Path) -> dict[str, Any]:
    need(file.is_file(), f"{file.parent} is not a store: there is no dbsnap.json")
    value = read_json(file.read_bytes(), "dbsnap.json")
    need(value.get("dbsnap") == "store", "dbsnap.json is not that of a store")
    need(value.get("format") == 1, f"dbsnap.json has format {value.get('format')}, which needs a newer reader")
    need(value.get("encryption") == "none", f"dbsnap.json has the unknown encryption {value.get('encryption')}")
    features = value.get("features", {})
    need(isinstance(features, dict), "dbsnap.json has features that are no object")
    unknown = features.get("read", [])
    need(unknown == [], f"dbsnap.json has features that need a newer reader: {unknown}")
    return value


def read_record(store: Store, file: pathlib.Path) -> list[str]:
    """The packs that a record condemns."""
    value = read_json(store.read_head(file), relative(file))
    need(value.get("dbsnap") == "condemned", f"{relative(file)} is not a record")
    need(value.get("format") == 1, f"{relative(file)} has format {value.get('format')}, which needs a newer reader")
    packs = value.get("packs")
    good = isinstance(packs, list) and all(isinstance(pack, str) and HEX_ID.fullmatch(pack) for pack in packs)
    need(good, f"{relative(file)} does not list packs")
    return list(packs or ())
