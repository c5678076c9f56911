"""Makes of an encrypted store one that is not encrypted, as src/store/FORMAT.md describes it and from nothing else.

Names of packs stay what they are, hashes of the sealed files; segments, which name packs, get names of their own.
"""

import json
import pathlib
import struct

import pyrage
from blake3 import blake3
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as open_box
from nacl.exceptions import CryptoError

from layout import Refused, need, relative
from store import HEX_ID, SEGMENT_NAME, TIMED, read_json

HEADER = struct.Struct("<8sBB6s16s")
TAG = 16
# Folder: class, context, the text in a box, and what the names look like.
SEALED = {
    "snapshots": (1, "dbsnap 1 head", 4096, TIMED),
    "pending": (2, "dbsnap 1 intent", 4096, TIMED),
    "condemned": (3, "dbsnap 1 record", 4096, TIMED),
    "index": (4, "dbsnap 1 segment", 4096, SEGMENT_NAME),
    "packs": (5, "dbsnap 1 pack", 16384, HEX_ID),
}


def unseal(store: pathlib.Path, identity: str, target: pathlib.Path) -> None:
    """Writes what is in `store`, opened with an age identity, to `target`."""
    configuration = read_json((store / "dbsnap.json").read_bytes(), "dbsnap.json")
    scheme = configuration["encryption"]
    need(scheme == "xchacha20poly1305", f"dbsnap.json has the encryption {scheme}")
    master = master_key(store, identity, configuration["id"])
    target.mkdir()
    (target / "dbsnap.json").write_text(json.dumps(configuration | {"encryption": "none"}))
    for folder, (_, _, _, form) in SEALED.items():
        for file in sorted(store.glob(f"{folder}/**/*")):
            if not file.is_file() or not form.fullmatch(file.name):
                continue
            name = file.name
            if form is TIMED:
                name = name[:-64] + unveil(master, bytes.fromhex(name[-64:])).hex()
            else:
                whole = blake3(file.read_bytes()).hexdigest()
                need(whole == name[-64:], f"{relative(file)} does not hash to its name")
            text = open_file(master, folder, file)
            if folder == "index":
                name = name[:-64] + blake3(text).hexdigest()
            written = target / file.relative_to(store).with_name(name)
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(text)


def master_key(store: pathlib.Path, identity: str, store_id: str) -> bytes:
    """The master key from the first slot that the identity opens."""
    key = pyrage.x25519.Identity.from_str(identity)
    for file in sorted(store.glob("keys/*.age")):
        try:
            slot = read_json(pyrage.decrypt(file.read_bytes(), [key]), relative(file))
        except pyrage.DecryptError:
            continue
        if (slot["dbsnap"], slot["format"], slot["store"]) == ("key", 1, store_id):
            return bytes.fromhex(slot["master"])
    raise Refused(f"the identity opens no slot of {store}")


def open_file(master: bytes, folder: str, file: pathlib.Path) -> bytes:
    """The text of a sealed file."""
    number, context, size, form = SEALED[folder]
    data, what = file.read_bytes(), relative(file)
    need(len(data) >= HEADER.size, f"{what} is not sealed")
    magic, version, kind, zero, salt = HEADER.unpack_from(data)
    need(magic == b"DBSNSEAL", f"{what} is not sealed")
    need((version, kind, zero) == (1, number, bytes(6)), f"{what} is sealed in another way")
    key = blake3(master + salt, derive_key_context=context).digest()
    bound = data[: HEADER.size] + (file.name.encode() if form is TIMED else b"")
    step = size + TAG
    boxes = [data[start : start + step] for start in range(HEADER.size, len(data), step)]
    text = b""
    for at, box in enumerate(boxes):
        last = at == len(boxes) - 1
        need(len(box) > TAG or len(boxes) == 1, f"{what} ends with an empty box")
        try:
            text += open_box(box, bound, struct.pack("<QB15x", at, last), key)
        except (CryptoError, ValueError):
            raise Refused(f"{what} has a box that does not open") from None
    need(bool(boxes), f"{what} has no box")
    return text


def unveil(master: bytes, name: bytes) -> bytes:
    """The id that is veiled in a name."""
    key = blake3(master, derive_key_context="dbsnap 1 name").digest()
    left, right = name[:16], name[16:]
    for turn in (3, 2, 1, 0):
        mask = blake3(bytes([turn]) + left, key=key).digest()
        left, right = bytes(a ^ b for a, b in zip(right, mask)), left
    return left + right
