#!/usr/bin/env bash
# terrane bench arrays adds up what it built: a contender that loses contents fails. Memory that
# versions share is counted once. Huge pages are put back, also when the bench is interrupted.
. "$(dirname "$0")/../preload/run.bash"
[ -x "${terrane%/*}/bench/arrays_terrane" ] || skip "the workers are not built"

# Loses the last byte of what was there, as one that copies one byte too few.
compile loses.so -shared -fPIC <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
void *realloc(void *memory, size_t size)
{
    void *(*next)(void *, size_t) = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    const size_t had = memory == NULL ? 0 : malloc_usable_size(memory) / 2;
    unsigned char *bytes = next(memory, size);
    if (had > 1024)
        bytes[had - 1] ^= 1;
    return bytes;
}
C

quick="--quick --rounds 1 --json"
expect_status 0 "$terrane" bench arrays $quick --cases "*/1M" \
    --contenders terrane,terrane-4K,memfd,glibc,memcpy,vector,deque
rows '
versions = {"share", "fork", "write", "slice", "concat", "concat-held"}
pushed = {"append/1B", "append/8B", "append/4K", "turns-16/64B", "turns-16/4K"}
both = {"prepend/1B", "prepend/8B", "prepend/4K"}
shapes = versions | pushed | both
always = "terrane", "terrane-4K", "memfd", "glibc", "memcpy"
wanted = {(s + "/1M", c) for s in shapes for c in always}
present = {contender for _, contender in rows}
if "vector" in present:
    wanted |= {(s + "/1M", "vector") for s in versions | pushed}
    wanted |= {(s + "/1M", "deque") for s in pushed | both}
assert set(rows) == wanted, set(rows) ^ wanted
for row in rows.values():
    figures = {name: figure["median"] for name, figure in row["figures"].items()}
    assert row["complete"] and row["figure"] == "cost_s", row
    assert 0 < figures["sum_s"] and 0 < figures["build_s"], row
    assert abs(figures["sum_s"] + figures["build_s"] - figures["cost_s"]) < 1e-9, row
for contender in "glibc", "memcpy":
    assert median("fork/1M", contender, "grown_bytes") > 1.5 * 2**20
# Tails only, where memory can be shown twice and where it cannot.
for contender in "terrane", "terrane-4K", "memfd":
    assert median("share/1M", contender, "grown_bytes") < 2**19
assert median("fork/1M", "memfd", "grown_bytes") < 2**19
assert median("write/1M", "memfd", "grown_bytes") < 2**19'

expect_status 1 "$terrane" bench arrays $quick --cases append/8B/1M \
    --library loses="$work/loses.so" --contenders loses,glibc
rows '
assert "adds up to" in rows["append/8B/1M", "loses"]["error"]
assert rows["append/8B/1M", "glibc"]["complete"]'

expect_status 0 "$terrane" bench arrays $quick --cases "even/*" --contenders memfd,terrane,glibc
rows '
assert set(rows) == {("even/malloc", "memfd"), ("even/fresh", "memfd")}
for row in rows.values():
    for figure in "even_bytes", "even_untouched_bytes":
        assert row["figures"][figure]["median"] in range(2**16, 2**26 + 1, 2**16), row'
# In words, and drawn.
plot=()
! command -v gnuplot >/dev/null || plot=(--plot "$work/plots")
expect_status 0 "$terrane" bench arrays --quick --rounds 1 --cases "even/fresh,share/1M" \
    --contenders memfd,memcpy "${plot[@]}"
expect_words out "sharing is cheaper than a copy from" "of the time of a copy" "in 1 of 1 cases"
for figure in cost_s build_s sum_s grown_bytes even_bytes even_untouched_bytes; do
    [ ${#plot[@]} = 0 ] || [ -s "plots/arrays-$figure.svg" ] || fail "no plot of $figure"
done

# The machine's huge pages: what the bench adds goes away with it, whichever way it ends.
pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
if [ -w $pool ] && exec 9<"${pool%/*}" && flock -n 9 && exec 9<&-; then
    before=$(cat $pool)
    expect_status 0 "$terrane" bench arrays $quick --cases fork/64M --contenders memfd-2M,memcpy
    [ "$(cat $pool)" = "$before" ] || fail "$(cat $pool) huge pages instead of $before"
    rows '
if ("fork/64M", "memfd-2M") in rows:
    assert median("fork/64M", "memfd-2M", "grown_bytes") < 16 * 2**20
else:
    assert "pages of 2 MiB" in report["absent"][0]["remedy"]'
    expect_status 0 "$terrane" bench --list arrays
    [ "$(cat $pool)" = "$before" ] || fail "a list set huge pages aside"
    "$terrane" bench arrays --quick --cases "append/1B/128M" --rounds 100 \
        --contenders memfd-2M,glibc >out 2>err </dev/null &
    bench=$!
    for ((i = 0; i < 100; i++)); do
        pgrep -P $bench >/dev/null && break
        sleep 0.05
    done
    kill -TERM $bench
    wait $bench
    [ "$(cat $pool)" = "$before" ] || fail "an interrupted bench left $(cat $pool) huge pages"
fi
exit 0
