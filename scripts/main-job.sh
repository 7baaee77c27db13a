#!/bin/sh
# The main job of `make run`: real programs, real input, on the system's malloc and on terrane's.
#
#   scripts/main-job.sh [BUILD]     BUILD: the folder with the built command, default build
#
# Checks what it needs, then hands over to main_job.py, which runs, compares and prints.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}

fail() {
    echo "main job: $*" >&2
    exit 1
}

[ -x "$build/terrane" ] || fail "no $build/terrane; run make first"
[ -e "$build/libterrane-malloc.so" ] || fail "no $build/libterrane-malloc.so; run make first"
for program in python3 sqlite3 sh xargs; do
    command -v "$program" >/dev/null || fail "no $program; scripts/setup.sh run installs it"
done
for compiler in cc gcc clang; do
    command -v "$compiler" >/dev/null && break
    compiler=
done
[ -n "$compiler" ] || fail "no C compiler; scripts/setup.sh run installs one"

exec env LC_ALL=C PYTHONHASHSEED=0 python3 scripts/main_job.py "$build" "$compiler"
