#!/usr/bin/env bash
# First and unchanged backup of the large sample (200 users, 20,000 notebooks, 2,000 jobs), without and with 30 ms of
# latency an answer: requests, objects a second, CPU seconds, peak memory, bytes added to the store.
# Usage: benches/large.sh [PATH-OF-dbsnap]; needs GNU time. The sandbox runs beside, on the same machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dbsnap=$(realpath "${1:-target/release/dbsnap}")
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT

echo "latency ms | run | requests | content requests | objects/s | wall s | CPU s | peak MB | KB added"
for latency in 0 30; do
    "$dbsnap" sandbox --sample large --token bench --latency "$latency" --json >"$folder/sandbox" 2>/dev/null &
    server=$!
    until grep -q '^}' "$folder/sandbox" 2>/dev/null; do sleep 0.1; done
    host=$(sed -n 's/.*"host": "\(.*\)".*/\1/p' "$folder/sandbox")
    rm -rf "$folder/store"
    for run in first unchanged; do
        before=$(du -sb "$folder/store" 2>/dev/null | cut -f1 || true)
        env -i HOME="$folder" DATABRICKS_HOST="$host" DATABRICKS_TOKEN=bench \
            /usr/bin/time -f '%e %U %S %M' -o "$folder/time" \
            "$dbsnap" backup --store "$folder/store" --rate-limit off --json >"$folder/report" 2>/dev/null
        after=$(du -sb "$folder/store" | cut -f1)
        python3 - "$latency" "$run" "$folder/report" "$folder/time" "$((after - ${before:-0}))" <<'PYTHON'
import json
import sys

latency, run, report, time, added = sys.argv[1:]
report = json.load(open(report))
wall, user, system, peak = map(float, open(time).read().split())
families = report["requests"]["by_family"]
objects = sum(kind["entries"] for kind in report["kinds"].values())
print(
    f"{latency:>10} | {run:9} | {report['requests']['total']:,} | {families.get('export', 0):,} | "
    f"{objects / wall:,.0f} | {wall:.1f} | {user + system:.1f} | {peak / 1024:.0f} | {int(added) / 1024:,.1f}"
)
PYTHON
    done
    kill "$server"
    wait "$server" 2>/dev/null || true
done
