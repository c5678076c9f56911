#!/usr/bin/env bash
# dbsnap beside the backup programs that are on the PATH (restic, rustic, borg) and beside `tar | zstd -3`, on a directory
# of made-up notebooks (benches/corpus.py): CPU seconds (user and system), wall seconds, peak memory of the largest
# process, and bytes of the store; as a Markdown table.
#
# Usage: benches/peers.sh [FILES] [PATH-OF-dbsnap]   (100,000 files if nothing is said; 5,000 take two minutes)
#
# Needs GNU time, Python 3 and zstd, and installs nothing. The others: Debian has packages `restic` and `borgbackup`;
# `cargo install rustic-rs`. restic and rustic always encrypt; borg and dbsnap do not here. All keep their defaults, but
# for borg, which is told to use zstd 3 as well.
#
# The snapshots are: first, unchanged, 2 % changed, another 2 % changed; then the older two are forgotten. Every restore,
# also the one after the prune, is compared with the directory byte by byte. restic, rustic and borg keep a cache outside
# of their store, which is not counted among its bytes; it is there in every row but the first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
files=${1:-100000}
dbsnap=$(realpath "${2:-target/release/dbsnap}")

# In memory if there is room, so that disks have no say.
parent=${TMPDIR:-/tmp}
if [ -d /dev/shm ] && [ "$(df --output=avail -B1 /dev/shm | tail -1)" -gt $((files * 60000)) ]; then
    parent=/dev/shm
fi
folder=$(mktemp -d -p "$parent")
trap 'rm -rf "$folder"' EXIT
corpus=$folder/corpus store=$folder/store restored=$folder/restored
mkdir "$folder/home"
export dbsnap corpus store restored HOME=$folder/home XDG_CACHE_HOME=$folder/cache XDG_CONFIG_HOME=$folder/home
export RESTIC_PASSWORD=bench RUSTIC_PASSWORD=bench RUSTIC_NO_PROGRESS=true BORG_BASE_DIR=$folder/home

# What a program does for a row. `object` is a file of the directory, relative to it.
dbsnap_backup() { "$dbsnap" import --store "$store" --at / "$corpus"; }
dbsnap_restore() { "$dbsnap" export --store "$store" latest "$restored"; }
dbsnap_cat() { "$dbsnap" cat --store "$store" latest "/${object%.py}"; }
dbsnap_check() { "$dbsnap" check --store "$store" --read-data; }
dbsnap_prune() {
    "$dbsnap" forget --store "$store" --keep-last 2
    "$dbsnap" prune --store "$store" --grace 0
    "$dbsnap" prune --store "$store" --grace 0
}
dbsnap_root() { echo "$restored/workspace"; }
dbsnap_version() { "$dbsnap" --version; }

restic_init() { restic -r "$store" init; }
restic_backup() { cd "$corpus" && restic -r "$store" backup .; }
restic_restore() { restic -r "$store" restore latest --target "$restored"; }
restic_cat() { restic -r "$store" dump latest "/$object"; }
restic_check() { restic -r "$store" check --read-data; }
restic_prune() { restic -r "$store" forget --keep-last 2 --prune; }
restic_version() { restic version | cut -d' ' -f1-2; }

rustic_init() { rustic -r "$store" init; }
rustic_backup() { cd "$corpus" && rustic -r "$store" backup .; }
rustic_restore() { rustic -r "$store" restore latest "$restored"; }
rustic_cat() { rustic -r "$store" dump "latest:$object"; }
rustic_check() { rustic -r "$store" check --read-data; }
rustic_prune() {
    rustic -r "$store" forget --keep-last 2
    rustic -r "$store" prune --instant-delete
}
rustic_version() { rustic --version; }

borg_init() { borg init --encryption none "$store"; }
borg_backup() { cd "$corpus" && borg create --compression zstd,3 "$store::{now:%s.%f}" .; }
borg_latest() { borg list --last 1 --short "$store"; }
borg_restore() { mkdir "$restored" && cd "$restored" && borg extract "$store::$(borg_latest)"; }
borg_cat() { borg extract --stdout "$store::$(borg_latest)" "$object"; }
borg_check() { borg check --verify-data "$store"; }
borg_prune() {
    borg prune --keep-last 2 "$store"
    borg compact "$store"
}
borg_version() { borg --version; }

tar_backup() { mkdir -p "$store" && tar -C "$corpus" -c . | zstd -3 -q -f -o "$store/archive"; }
tar_restore() { mkdir "$restored" && zstd -d -c "$store/archive" | tar -C "$restored" -x; }
tar_cat() { zstd -d -c "$store/archive" | tar -x -O "./$object"; }
tar_version() { echo "tar c | zstd -3, $(zstd --version | grep -o 'v[0-9.]*')"; }

for name in $(compgen -A function); do export -f "${name?}"; done

# measure TOOL ROW FUNCTION: runs it, and notes what it took.
measure() {
    local tool=$1 row=$2 function=$3
    if ! /usr/bin/time -q -f '%U %S %e %M' -o "$folder/time" bash -euo pipefail -c "$function" >"$folder/out" 2>"$folder/log"; then
        echo "$function failed:" >&2
        tail -5 "$folder/log" >&2
        exit 1
    fi
    echo "$tool|$row|$(cat "$folder/time") $(du -sb "$store" | cut -f1)" >>"$folder/results"
    echo "$tool, $row: $(cat "$folder/time")" >&2
}

change() { python3 benches/corpus.py "$corpus" --change 2% --seed "$1"; }

# Files that were written a moment ago are read again by all of them, to be safe.
settle() { sleep 3; }

run() {
    local tool=$1
    rm -rf "$corpus" "$store" "$restored" "$folder/cache"
    python3 benches/corpus.py "$corpus" --files "$files"
    object=$(cd "$corpus" && find . -name '*.py' | sort | sed -n "$((files / 3))p")
    export object=${object#./}
    settle
    if declare -F "${tool}_init" >/dev/null; then "${tool}_init" >/dev/null 2>&1; fi
    measure "$tool" "first backup" "${tool}_backup"
    if [ "$tool" != tar ]; then measure "$tool" "unchanged" "${tool}_backup"; fi
    change 2
    settle
    if [ "$tool" != tar ]; then measure "$tool" "2 % changed" "${tool}_backup"; fi
    change 3
    settle
    ("${tool}_backup") >/dev/null 2>&1
    measure "$tool" "one file" "${tool}_cat"
    cmp "$folder/out" "$corpus/$object"
    measure "$tool" "full restore" "${tool}_restore"
    compare "$tool"
    if declare -F "${tool}_check" >/dev/null; then measure "$tool" "check, all data" "${tool}_check"; fi
    if declare -F "${tool}_prune" >/dev/null; then
        measure "$tool" "forget half, prune" "${tool}_prune"
        rm -rf "$restored"
        ("${tool}_restore") >/dev/null 2>&1
        compare "$tool"
    fi
}

compare() {
    local root=$restored
    if declare -F "${1}_root" >/dev/null; then root=$("${1}_root"); fi
    diff -rq --no-dereference "$corpus" "$root" >&2
}

tools=(dbsnap)
for tool in restic rustic borg; do
    if command -v "$tool" >/dev/null; then tools+=("$tool"); else echo "$tool is not on the PATH" >&2; fi
done
tools+=(tar)
for tool in "${tools[@]}"; do
    (run "$tool")
done

python3 - "$folder/results" <<'PYTHON'
import sys

rows, stores, tools = {}, {}, []
for line in open(sys.argv[1]):
    tool, row, numbers = line.rstrip("\n").split("|")
    user, system, wall, peak, store = map(float, numbers.split())
    rows.setdefault(row, {})[tool] = f"{user + system:.2f} / {wall:.2f} / {peak / 1024:.0f}"
    stores.setdefault(row, {})[tool] = store
    if tool not in tools:
        tools.append(tool)


def print_row(name, cells):
    print(f"| {name} | " + " | ".join(cells.get(tool, "") for tool in tools) + " |")


print_row("CPU s / wall s / peak MB", {tool: tool for tool in tools})
print("|---" * (len(tools) + 1) + "|")
for row, cells in rows.items():
    print_row(row, cells)


def print_bytes(name, row, before=None):
    print_row(
        name,
        {
            tool: f"{(after - (stores[before][tool] if before else 0)) / 1e6:.2f}"
            for tool, after in stores[row].items()
        },
    )


print_bytes("store, MB", "first backup")
print_bytes("added when unchanged, MB", "unchanged", "first backup")
print_bytes("added by 2 %, MB", "2 % changed", "unchanged")
print_bytes("freed by the prune, MB", "check, all data", "forget half, prune")
PYTHON
echo
echo "$files files, $(du -sb "$corpus" | awk '{printf "%.0f", $1 / 1e6}') MB; $(nproc) cores; on $parent."
for tool in "${tools[@]}"; do echo "- $("${tool}_version")"; done
