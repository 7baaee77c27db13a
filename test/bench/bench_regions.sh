#!/usr/bin/env bash
# terrane bench regions tells contenders apart: one that keeps what was freed, one that hands out
# the same memory twice, one that holds two copies while it grows, a file that lies in memory.
. "$(dirname "$0")/../preload/run.bash"
[ -x "${terrane%/*}/bench/regions_pairs" ] || skip "the workers are not built"

compile keeps.so -shared -fPIC <<'C'
void free(void *memory) { (void)memory; }
C
compile shares.so -shared -fPIC <<'C'
#include <stddef.h>
void *__libc_malloc(size_t size);
void __libc_free(void *memory);
static char same[8 << 20] __attribute__((aligned(4096)));
void *malloc(size_t size) { return size < 1 << 20 ? __libc_malloc(size) : same; }
void free(void *memory) { if (memory != same) __libc_free(memory); }
C
compile copies.so -shared -fPIC <<'C'
#include <malloc.h>
#include <string.h>
void __libc_free(void *memory);
void *realloc(void *memory, size_t size)
{
    void *copy = malloc(size);
    memset(copy, 1, size);
    memcpy(copy, memory, malloc_usable_size(memory) < size ? malloc_usable_size(memory) : size);
    free(memory);
    return copy;
}
C

quick="--quick --rounds 1 --json"
expect_status 0 "$terrane" bench regions $quick --contenders terrane,terrane-malloc,glibc,mmap \
    --cases "hot/2M*,shared/2M,threads-2/2M,live-64/2M,handoff/2M,birth/2M,grow/64M/2M"
rows '
assert len(rows) == 4 * 9
for (case, contender), row in rows.items():
    assert row["figure"] == "cost_s" and row["unit"] == "s" and row["complete"], row
    assert 0 < row["median"] < 0.1, row
for contender in "terrane", "terrane-malloc", "glibc", "mmap":
    assert median("hot/2M/page", contender, "cost_s") < median("hot/2M/bytes", contender, "cost_s")
    assert median("handoff/2M", contender, "channel_s") > 0
    assert median("birth/2M", contender, "thread_s") > median("birth/2M", contender, "cost_s")
assert 511 <= median("hot/2M/page", "mmap", "faults") <= 513
assert median("hot/2M/page", "terrane", "faults") < 1
assert {s["figure"] for s in report["summary"]} == {"cost_s", "cost_wall_s", "peak_bytes"}'

expect_status 1 "$terrane" bench regions $quick --cases live-64/2M/page \
    --library shares="$work/shares.so" --contenders shares,glibc
rows '
assert "overwritten" in rows["live-64/2M/page", "shares"]["error"]
assert rows["live-64/2M/page", "glibc"]["complete"]'
expect_status 0 "$terrane" bench regions $quick --cases after/512M \
    --library keeps="$work/keeps.so" --contenders terrane,keeps,mmap
rows '
assert median("after/512M", "keeps", "left_bytes") >= 2**29
for contender in "terrane", "mmap":
    assert median("after/512M", contender, "left_bytes") < 2**22'
expect_status 0 "$terrane" bench regions $quick --cases "grow/512M/double/*" \
    --library copies="$work/copies.so" --contenders terrane,copies,mmap
rows '
assert median("grow/512M/double/page", "copies", "peak_ratio") > 1.45
for contender in "terrane", "mmap":
    assert 1 <= median("grow/512M/double/page", contender, "peak_ratio") < 1.05
    assert median("grow/512M/double/page", contender, "resize_s") > 0'

# What only some can do is not asked of the others; what a folder in memory cannot show is left out.
expect_status 0 "$terrane" bench regions $quick --cases "after/512M/memfd"
rows '
assert list(rows) == [("after/512M/memfd", "terrane")]
assert median("after/512M/memfd", "terrane", "file_bytes") < 2**20'
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ]; then
    expect_status 0 "$terrane" bench regions $quick --cases "scratch/*" --scratch-dir /dev/shm
    rows '
assert report["rows"] == [] and "lies in memory" in report["absent"][-1]["remedy"]'
fi
if [ "$(stat -f -c %T "$work")" != tmpfs ]; then
    expect_status 0 "$terrane" bench regions $quick --cases "scratch/*" --scratch-dir "$work"
    rows '
case = "scratch/768M-in-256M"
assert {contender for _, contender in rows} == {"terrane", "mmap"}
assert median(case, "mmap", "resident_bytes") > 700 * 2**20
assert median(case, "terrane", "resident_bytes") < 700 * 2**20
assert median(case, "terrane", "over_ratio") < median(case, "mmap", "over_ratio") <= 1'
fi

# Every figure's title must be one that gnuplot can read.
if command -v gnuplot >/dev/null; then
    expect_status 0 "$terrane" bench regions --quick --rounds 1 --contenders terrane,mmap \
        --cases "birth/2M,handoff/2M,grow/64M/2M" --plot "$work/plots"
    for figure in cost_s cost_wall_s thread_s channel_s resize_s; do
        [ -s "plots/regions-$figure.svg" ] || fail "no plot of $figure"
    done
fi
