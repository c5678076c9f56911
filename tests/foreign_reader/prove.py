"""Proves the format: what the reader makes of stores is what dbsnap makes of them, and both refuse the same.

Usage: prove.py PATH-OF-dbsnap. Every `prove_*` function is one proof.
"""

import contextlib
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

from blake3 import blake3

import forge
import reader
from forge import Frame, compressed
from layout import PATCH, SOLID, Refused, blob_id
from manifest import Entry, Manifest, parse_head, read_payload
from store import Store
from unseal import unseal

DBSNAP = sys.argv[1]
TOKEN = "dapi" + "0c0f" * 8
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src"
STORES = SOURCES / "store" / "tests"
SNAPSHOTS = SOURCES / "manifest" / "tests"
# Opens the encrypted golden store, and nothing else.
IDENTITY = "AGE-SECRET-KEY-1FF7USLLG0QU784FTG3LLZADS86Q70DXFQS9WZWU9MZCH3GFCLVNSA2JJXG"
# So many segments of the lowest level are merged into one of the next.
ENOUGH_TO_MERGE = 64


def expect(condition: bool, message: str) -> None:
    """Like `assert`, with a message that tells what was seen; never optimised away."""
    if not condition:
        raise AssertionError(message)


def read(*arguments: object) -> tuple[int, str, str]:
    """What a command of the reader ends with, prints, and complains of."""
    out, complaints = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
        code = reader.main([str(argument) for argument in arguments])
    return code, out.getvalue(), complaints.getvalue()


def must_read(*arguments: object) -> str:
    code, out, complaints = read(*arguments)
    expect(code == 0 and not complaints, f"{' '.join(map(str, arguments))} ended with {code}: {complaints}")
    return out


def dbsnap(store: pathlib.Path, *arguments: str, codes: tuple[int, ...] = (0,), **variables: str) -> bytes:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    variables = kept | {"HOME": str(store.parent)} | variables
    command = [DBSNAP, "--store", str(store), *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, timeout=120)
    expect(done.returncode in codes, f"{command} ended with {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def prove_the_golden_stores(_folder: pathlib.Path) -> None:
    for way in ((), ("--no-index",)):
        must_read(*way, "check", "--any-heads", STORES / "format-1")
        must_read(*way, "check", SNAPSHOTS / "format-1")
        for command, store, listing in (
            ("blobs", STORES / "format-1", STORES / "format-1.txt"),
            ("dump", SNAPSHOTS / "format-1", SNAPSHOTS / "format-1.jsonl"),
        ):
            found = must_read(*way, command, store).splitlines()
            wanted = listing.read_text().splitlines()
            differing = [pair for pair in zip(found, wanted) if pair[0] != pair[1]]
            same = found == wanted
            expect(same, f"{len(found)} lines instead of {len(wanted)} of {listing}, and first {differing[:1]}")


def prove_that_an_encrypted_store_is_one_with_every_file_sealed(folder: pathlib.Path) -> None:
    sealed, plain = STORES / "format-1-encrypted", folder / "plain"
    unseal(sealed, IDENTITY, plain)
    found, wanted = must_read("blobs", plain), (STORES / "format-1.txt").read_text()
    expect(found == wanted, f"unsealed, the encrypted golden store is {found}")
    copy = folder / "copy"
    shutil.copytree(sealed, copy)
    for file in sorted(copy.rglob("*-*")) + sorted(copy.glob("packs/*/*")):
        if file.suffix == ".age":
            continue
        whole = file.read_bytes()
        for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), whole[:20]):
            file.write_bytes(damaged)
            try:
                unseal(copy, IDENTITY, folder / "damaged")
                raise AssertionError(f"{file} is damaged, and opens")
            except Refused as error:
                expect(file.name in str(error), f"{file} is damaged, and it says {error}")
            shutil.rmtree(folder / "damaged")
        file.write_bytes(whole)
    identity = folder / "identity"
    identity.write_text(IDENTITY)
    dbsnap(copy, "key", "list", "--identity-file", str(identity))
    dbsnap(copy, "key", "list", codes=(12,))


def prove_that_damage_is_found_and_named(folder: pathlib.Path) -> None:
    for golden, options in ((STORES / "format-1", ["--any-heads"]), (SNAPSHOTS / "format-1", [])):
        copy = folder / "copy"
        shutil.copytree(golden, copy)
        for file in sorted(copy.rglob("*-*")) + sorted(copy.glob("packs/*/*")):
            whole = file.read_bytes()
            middle = len(whole) // 2
            flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
            for damaged in (flipped, whole[:-1], b""):
                file.write_bytes(damaged)
                code, _, complaints = read("check", *options, copy)
                expect(code == 1 and file.name in complaints, f"{file} is damaged, and the reader says {complaints!r}")
            file.write_bytes(whole)
        must_read("check", *options, copy)
        shutil.rmtree(copy)


A, B = b"some words " * 40, b"other words " * 50
ID_A, ID_B = blob_id(1, A), blob_id(1, B)
PACK = forge.pack([Frame([A, B])])
PLACES = [
    (ID_A, 32, 16 + len(A + B), 0, len(A)),
    (ID_B, 32, 16 + len(A + B), len(A), len(B)),
]
EMPTY = b"\1\0\0"


def patch(blob: bytes, base: bytes, depth: int = 1) -> Frame:
    return Frame([blob], PATCH, depth, blob_id(1, base), compressed(blob, base))


def with_node(node: bytes, **head: int) -> dict[str, Any]:
    return {
        "packs": (forge.pack([Frame([node])], kind=2),),
        "heads": (forge.head(blob_id(2, node), **head),),
    }


def with_frames(*frames: Frame, **pack: int) -> dict[str, Any]:
    return {"packs": (forge.pack(list(frames), **pack),)}


# What is fine, though dbsnap does not write it.
ACCEPTED: dict[str, dict[str, Any]] = {
    "two blobs in a frame": {"packs": (PACK,)},
    "the same with a segment": {"packs": (PACK,), "segments": (forge.segment(PACK, sorted(PLACES)),)},
    "numbers longer than they must be": with_frames(Frame([A, B]), longer=1),
    "a blob twice": with_frames(Frame([A, A]), Frame([A])),
    "a patch": with_frames(Frame([A]), patch(A + B, A)),
    "a patch on nothing": with_frames(Frame([b""]), Frame([A], PATCH, 1, blob_id(1, b""), compressed(A))),
    "a patch deeper than it must be": with_frames(Frame([A]), patch(A + B, A, depth=64)),
    "a pack of nothing": with_frames(),
    "an unknown field": {"more": 1},
    "an unknown feature for writers": {"features": {"read": [], "write": ["later"]}},
    "a manifest of nothing": with_node(EMPTY),
}

# What must be refused, and how the reader names it.
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a later format": ("format 2", {"format": 2}),
    "another thing": ("not that of a store", {"dbsnap": "other"}),
    "encryption": ("encryption xchacha20poly1305", {"encryption": "xchacha20poly1305"}),
    "a feature": ("later", {"features": {"read": ["later"], "write": []}}),
    "a later pack": ("has format 2", with_frames(Frame([A]), version=2)),
    "a pack with flags": ("has flags", with_frames(Frame([A]), flags=1)),
    "an unknown kind": ("unknown kind 3", with_frames(Frame([A]), kind=3)),
    "another number of blobs": ("another number of blobs", with_frames(Frame([A]), blobs=0)),
    "an unknown codec": ("the codec 3, which needs a newer", with_frames(Frame([A], codec=3))),
    "a wrong checksum": ("another checksum", with_frames(Frame([A], checksum=5))),
    "a wrong id": ("does not hash to its id", with_frames(Frame([A], ids=[ID_B]))),
    "more than is claimed": ("decompresses to", with_frames(Frame([A], SOLID, payload=compressed(A * 9999)))),
    "bytes behind the payload": ("unused data", with_frames(Frame([A], SOLID, payload=compressed(A) + b"more"))),
    "too much": ("more than any may have", with_frames(Frame([A], SOLID, payload=compressed(A), raw=65 << 20))),
    "a depth without a base": ("a depth and no base", with_frames(Frame([A], depth=1))),
    "too deep a patch": ("a depth of 65", with_frames(Frame([A]), patch(A + B, A, depth=65))),
    "patches in a circle": ("is no base at depth", with_frames(patch(A, B), patch(B, A))),
    "a patch without its base": ("it is in no pack", with_frames(patch(A, B))),
    "a later segment": (
        "has format 2",
        {"packs": (PACK,), "segments": (forge.segment(PACK, sorted(PLACES), version=2),)},
    ),
    "an index out of order": (
        "not sorted",
        {"packs": (PACK,), "segments": (forge.segment(PACK, sorted(PLACES, reverse=True)),)},
    ),
    "an index that lacks a blob": (
        "does not agree",
        {"packs": (PACK,), "segments": (forge.segment(PACK, PLACES[:1]),)},
    ),
    "a later head": ("has format 2", with_node(EMPTY, version=2)),
    "a root that is not there": ("it is in no pack", {"heads": (forge.head(blob_id(2, EMPTY)),)}),
    "a later node": ("has format 2", with_node(b"\2\0\0")),
    "a node above nothing": ("has no rows", with_node(b"\1\1\0")),
    "a number that is too long": ("longer than it must be", with_node(b"\1\0\x80\0")),
    "a node that goes on": ("ends too early", with_node(EMPTY + b"\0")),
    "rows without keys": ("ends too early", with_node(b"\1\0\xff\x0f")),
    "an absurd number of rows": ("claims 1048575 rows", with_node(b"\1\0\xff\xff\x3f")),
    "keys out of order": ("out of order", with_node(b"\1\0\2" + b"\0\6" + b"\6\0" + b"user\0a")),
    "a key of one part": ("impossible key", with_node(b"\1\0\1\0\4user")),
    "an unknown gap": ("unknown gap 6", with_node(b"\1\0\1\0\6user\0a" + b"\x11\2\0\6")),
    "an unusual bitmap": ("needs none", with_node(b"\1\0\1\0\6user\0a" + b"\xc9\1\3\1\1\5")),
}


# What dbsnap only notes when no snapshot needs it.
NOTED = {"a patch without its base": b"a patch in it cannot be read"}


# Most of these stores have no snapshot. That dbsnap tells of, with 3, and of nothing else.
def complaints_of(said: bytes) -> list[bytes]:
    return [line for line in said.splitlines() if line.startswith((b"damaged: ", b"snapshot "))]


def prove_that_both_accept_and_refuse_the_same(folder: pathlib.Path) -> None:
    cases = [(name, "", parts) for name, parts in ACCEPTED.items()]
    cases += [(name, words, parts) for name, (words, parts) in REFUSED.items()]
    for number, (name, words, parts) in enumerate(cases):
        store = folder / str(number)
        forge.store(store, **parts)
        code, _, complaints = read("check", store)
        told = f"{name}: the reader ended with {code} and said {complaints!r}"
        expect((code == 1 and words in complaints) if words else code == 0, told)
        try:
            refused = words and name not in NOTED
            said = dbsnap(store, "check", "--read-data", codes=(1, 3, 12) if refused else (0, 3))
            expect(refused or not complaints_of(said), f"it said {said!r}")
            expect(NOTED.get(name, b"") in said, f"it said {said!r}")
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


class Sandbox:
    """A workspace to take snapshots of."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.store = folder, folder / "store"
        self.output = folder / "sandbox.json"
        command = [DBSNAP, "sandbox", "--port", "0", "--sample", "small", "--token", TOKEN, "--json"]
        with self.output.open("wb") as output:
            none = subprocess.DEVNULL
            self.process = subprocess.Popen(command, stdin=none, stdout=output, stderr=none)
        self.host = self.wait_for_host()

    def wait_for_host(self) -> str:
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(json.JSONDecodeError):
                return str(json.loads(self.output.read_text())["host"])
            time.sleep(0.05)
        raise RuntimeError(f"the sandbox said {self.output.read_text()!r}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)

    def put(self, path: str, content: bytes) -> None:
        fields = {"path": path, "format": "RAW", "overwrite": True, "content": b64encode(content).decode()}
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        url = f"{self.host}/api/2.0/workspace/import"
        request = urllib.request.Request(url, json.dumps(fields).encode(), headers, method="POST")
        urllib.request.urlopen(request, timeout=20).close()

    def backup(self, *options: str) -> None:
        variables = {"DATABRICKS_HOST": self.host, "DATABRICKS_TOKEN": TOKEN}
        dbsnap(self.store, "backup", "--quiet", *options, codes=(0, 3), **variables)


@contextlib.contextmanager
def sandbox(folder: pathlib.Path) -> Iterator[Sandbox]:
    running = Sandbox(folder)
    try:
        yield running
    finally:
        running.stop()


def prove_a_fresh_store(folder: pathlib.Path) -> None:
    with sandbox(folder) as workspace:
        noise = random.Random(1).randbytes(6_000_000)
        workspace.put("/Shared/noise.bin", noise)
        workspace.backup()
        workspace.put("/Shared/noise.bin", noise[:3_000_000] + b"inserted" + noise[3_000_000:])
        workspace.put("/Shared/words.txt", b"many words\n" * 1000)
        workspace.backup()
        for number in range(ENOUGH_TO_MERGE):
            workspace.put("/Shared/often.txt", b"version %d" % number)
            workspace.backup("--only", "files", "--path", "/Shared/often.txt")
    merged = [file.name for file in (folder / "store" / "index").iterdir() if file.name.startswith("1-")]
    expect(len(merged) == 1, f"the index was not merged: {merged}")
    for way in ((), ("--no-index",)):
        must_read(*way, "check", folder / "store")
    problems: list[str] = []
    store = Store(folder / "store", problems)
    heads = store.heads()
    for file in (heads[1], heads[-1]):
        compare_with_dbsnap(store, file)
    expect(not problems, f"the reader says {problems}")


def compare_with_dbsnap(store: Store, head: pathlib.Path) -> None:
    """Every part of every entry of a snapshot, as the reader and as dbsnap give it."""
    snapshot = blake3(head.read_bytes()).hexdigest()
    entries = list(Manifest(store, parse_head(store.read_head(head), head.name)).entries())
    listed = json.loads(dbsnap(store.path, "ls", snapshot, "--json"))["objects"]
    names = sorted((item["kind"], item["name"]) for item in listed)
    expect(sorted((entry.kind, entry.name) for entry in entries) == names, f"`dbsnap ls` of {snapshot} differs")
    for entry in entries:
        for part, payload in entry.payloads.items():
            mine = read_payload(store, payload)
            theirs = dbsnap(store.path, "cat", snapshot, reader.label(entry), *option(part, entry))
            same = mine == theirs if part == "content" else json.loads(mine) == json.loads(theirs)
            expect(same, f"{part} of {reader.label(entry)} in {snapshot} differs: {mine[:80]!r}, {theirs[:80]!r}")


def option(part: str, entry: Entry) -> list[str]:
    expect(part != "content" or reader.default_part(entry) == "content", f"{entry} hides its content")
    return [] if part == "content" else [f"--{part}"]


def main() -> int:
    failed = 0
    proofs: list[Callable[[pathlib.Path], None]] = [
        prove_the_golden_stores,
        prove_that_an_encrypted_store_is_one_with_every_file_sealed,
        prove_that_damage_is_found_and_named,
        prove_that_both_accept_and_refuse_the_same,
        prove_a_fresh_store,
    ]
    for proof in proofs:
        begun = time.monotonic()
        name = proof.__name__.removeprefix("prove_").replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            try:
                proof(pathlib.Path(folder))
                print(f"ok      {name} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception:  # whatever it is, the other proofs are still worth something
                failed += 1
                print(f"FAILED  {name}", flush=True)
                traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
