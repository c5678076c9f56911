"""Reads a store of dbsnap without any of its code: written from the two FORMAT.md alone, as proof that they suffice.

It shows nothing that it has not checked, and ends with 1 when something must be refused; stderr says what, and where.
"""

import argparse
import json
import pathlib
import sys
from typing import Any

from blake3 import blake3

from layout import KINDS, Listed, Place, Refused, blob_id, need, relative
from manifest import Entry, Manifest, Payload, Totals, head_totals, parse_head, read_payload
from store import Store, read_record


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-index", action="store_true", help="find blobs through the directories of packs only")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, explanation: str) -> argparse.ArgumentParser:
        result = commands.add_parser(name, help=explanation, description=explanation)
        result.add_argument("store", type=pathlib.Path)
        return result

    check_options = command("check", "verify everything there is, and count it")
    check_options.add_argument("--any-heads", action="store_true", help="do not ask heads to be those of snapshots")
    command("blobs", "list heads, intents, condemned packs and blobs, without asking what they mean")
    command("dump", "all snapshots and their entries, one JSON object to a line")
    command("ls", "list the objects of a snapshot").add_argument("snapshot")
    cat_options = command("cat", "write the content of an object, or its body if it has none")
    cat_options.add_argument("snapshot", help="the beginning of its id, or `latest`")
    cat_options.add_argument("object", help="KIND/NAME or KIND/NAME#ID")
    cat_options.add_argument("--part", choices=("body", "content", "permissions"))
    options = parser.parse_args(arguments)
    problems: list[str] = []
    try:
        store = Store(options.store, problems, use_index=not options.no_index)
        {"check": check, "blobs": blobs, "dump": dump, "ls": ls, "cat": cat}[options.command](store, options)
    except Refused as error:
        problems.append(str(error))
    for problem in dict.fromkeys(problems):
        print(f"reader: {problem}", file=sys.stderr)
    return 1 if problems else 0


def check(store: Store, options: argparse.Namespace) -> None:
    """Reads every byte of the store, and holds everything against everything else that speaks of it."""
    counts = {"packs": len(store.packs), "segments": len(store.segments), "frames": 0, "data": 0, "node": 0}
    for name, pack in store.packs.items():
        with store.collecting():
            digest = blake3().update_mmap(pack.path).hexdigest()
            need(digest == name, f"{relative(pack.path)} does not hash to its name")
        with store.collecting():
            directory = store.directory(name)
            check_segments(store, name, directory)
            for listed in directory:
                counts["frames"] += 1
                counts[KINDS[pack.kind]] += len(listed.blobs)
                with store.collecting():
                    check_frame_of(store, name, listed)
    for folder in ("snapshots", "pending", "condemned"):
        counts[folder] = len(store.heads(folder))
    counts |= {"nodes": 0, "entries": 0, "payloads": 0}
    for file in store.heads("condemned"):
        with store.collecting():
            read_record(store, file)
    proven: set[bytes] = set()
    for file in store.heads() + store.heads("pending"):
        with store.collecting():
            head = store.read_head(file)
            if not options.any_heads:
                check_snapshot(store, parse_head(head, relative(file)), relative(file), proven, counts)
    for what, count in counts.items():
        print(f"{what} {count}")


def check_frame_of(store: Store, name: str, listed: Listed) -> None:
    pack = store.packs[name]
    what = f"{relative(pack.path)}, the frame at {listed.offset}"
    try:
        frame = store.stored(name, listed.offset, listed.stored)
        data = store.frame(name, listed.offset, listed.stored)
    except Refused as error:
        raise Refused(f"{relative(pack.path)}: {error}") from None
    header = (frame.codec, frame.depth, frame.count, frame.base, frame.raw)
    directory = (listed.codec, listed.depth, len(listed.blobs), listed.base, listed.raw)
    need(header == directory, f"{what} has another header than the directory says")
    start = 0
    for blob, length in listed.blobs:
        good = blob_id(pack.kind, data[start : start + length]) == blob
        need(good, f"{what}: the blob {blob.hex()} does not hash to its id")
        start += length


def check_segments(store: Store, name: str, directory: list[Listed]) -> None:
    """What a segment says of a pack must be what its own directory says."""
    rows = []
    for listed in directory:
        start = 0
        for blob, length in listed.blobs:
            rows.append((blob, Place(name, listed.offset, listed.stored, start, length)))
            start += length
    rows.sort()
    for segment, content in store.segments.items():
        if any(pack == name for pack, _, _ in content.packs):
            entries = sorted(entry for entry in content.entries if entry[1].pack == name)
            with store.collecting():
                agree = entries == rows
                need(agree, f"index/{segment} does not agree with the directory of {relative(store.packs[name].path)}")


def check_snapshot(store: Store, head: dict[str, Any], what: str, proven: set[bytes], counts: dict[str, int]) -> None:
    kinds: dict[str, Totals] = {}
    gaps: list[dict[str, Any]] = []
    manifest = Manifest(store, head)
    try:
        for entry in manifest.entries():
            kinds.setdefault(entry.kind, Totals()).add(entry)
            if entry.gap is not None:
                gap = {
                    "kind": entry.kind,
                    "name": entry.name,
                    "id": entry.id,
                    "extent": entry.gap,
                    "reason": entry.reason,
                }
                gaps.append({name: value for name, value in gap.items() if value is not None})
            for payload in entry.payloads.values():
                counts["payloads"] += 1
                if payload.hash not in proven:
                    with store.collecting():
                        read_payload(store, payload)
                        proven.add(payload.hash)
        counts["entries"] += manifest.totals.entries
        counts["nodes"] += manifest.nodes
    except Refused as error:
        raise Refused(f"{what}: {error}") from None
    claimed = {kind: head_totals(totals) for kind, totals in head.get("kinds", {}).items()}
    need(claimed == kinds, f"{what}: its counts by kind are not those of its entries")
    same = {"first": []} | head.get("gaps", {}) == {"count": len(gaps), "first": gaps[:100]}
    need(same, f"{what}: its gaps are not those of its entries")
    need(not (head.get("complete") and gaps), f"{what} claims to be complete and has gaps")
    need(head.get("store") == store.configuration["id"], f"{what} is of another store")


def blobs(store: Store, _options: argparse.Namespace) -> None:
    for folder in ("snapshots", "pending"):
        for file in store.heads(folder):
            print(f"{folder} {file.name} {len(store.read_head(file))}")
    for pack in sorted({pack for file in store.heads("condemned") for pack in read_record(store, file)}):
        print(f"condemned {pack}")
    for blob in sorted(store.places):
        print(f"{KINDS[store.packs[store.places[blob][0].pack].kind]} {blob.hex()} {len(store.read(blob))}")


def dump(store: Store, _options: argparse.Namespace) -> None:
    for file in store.heads():
        head = parse_head(store.read_head(file), relative(file))
        print(json_line({"snapshot": file.name[-64:], "head": head}))
        for entry in Manifest(store, head).entries():
            print(json_line(describe(entry)))


def json_line(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def describe(entry: Entry) -> dict[str, Any]:
    """An entry as an object that leaves out what is not there."""
    plain = ("kind", "name", "id", "object_id", "modified_at", "size", "gap", "reason")
    result = {name: getattr(entry, name) for name in plain if getattr(entry, name) is not None}
    if entry.carried_over:
        result["carried_over"] = True
    result |= {name: describe_payload(payload) for name, payload in entry.payloads.items()}
    if entry.unknown:
        known = {column: value.hex() if isinstance(value, bytes) else value for column, value in entry.unknown.items()}
        result["unknown"] = {str(column): value for column, value in known.items()}
    return result


def describe_payload(payload: Payload) -> dict[str, Any]:
    if payload.inline is not None:
        place = "leaf"
    elif payload.list is not None:
        place = "list"
    elif payload.chunks is not None:
        place = "chunks"
    else:
        place = "blob"
    return {"hash": payload.hash.hex(), "in": place, "length": payload.length}


def ls(store: Store, options: argparse.Namespace) -> None:
    for entry in find_snapshot(store, options.snapshot).entries():
        print(label(entry))


def cat(store: Store, options: argparse.Namespace) -> None:
    name = options.object
    entries = find_snapshot(store, options.snapshot).entries()
    found = [entry for entry in entries if name in (label(entry), f"{entry.kind}/{entry.name}")]
    need(len(found) == 1, f"{len(found)} objects of this snapshot are called {name}")
    part = options.part or default_part(found[0])
    need(part in found[0].payloads, f"{name} has no {part}")
    sys.stdout.buffer.write(read_payload(store, found[0].payloads[part]))


def default_part(entry: Entry) -> str:
    return "content" if "content" in entry.payloads else "body"


def label(entry: Entry) -> str:
    return f"{entry.kind}/{entry.name}" + ("" if entry.id is None else f"#{entry.id}")


def find_snapshot(store: Store, name: str) -> Manifest:
    found = [file for file in store.heads() if file.name[-64:].startswith(name)]
    if name == "latest":
        found = store.heads()[-1:]
    need(len(found) == 1, f"{len(found)} snapshots are called {name}")
    return Manifest(store, parse_head(store.read_head(found[0]), relative(found[0])))


if __name__ == "__main__":
    sys.exit(main())
