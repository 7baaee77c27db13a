#!/usr/bin/env bash
# terrane bench measures each contender with its own library, and says when one fails: a process
# that dies, hangs, or computes something else.
. "$(dirname "$0")/../preload/run.bash"
[ -x "${terrane%/*}/bench/malloc_order" ] || skip "the workers are not built"

export TMPDIR=$work/temporary
mkdir "$TMPDIR"

# These mallocs are the C library's with something wrong.
compile dies.so -shared -fPIC <<'C'
#include <unistd.h>
__attribute__((constructor)) static void die(void) { _exit(42); }
C
compile hangs.so -shared -fPIC <<'C'
#include <unistd.h>
__attribute__((constructor)) static void hang(void) { for (;;) pause(); }
C
compile talks.so -shared -fPIC <<'C'
#include <unistd.h>
__attribute__((constructor)) static void talk(void) { (void)!write(1, "x", 1); }
C

quick="--quick --rounds 3 --json"
expect_status 0 "$terrane" bench malloc $quick --cases lifo/1,batch/2 --contenders glibc,terrane
rows '
assert report["bench"] == "malloc" and report["seed"] == 1 and report["quick"] is True
assert report["machine"]["cores"] >= 1 and "T" in report["machine"]["date"]
assert len(rows) == 4
for row in rows.values():
    wall = row["figures"]["wall_s"]
    assert row["unit"] == "s" and row["complete"] and len(wall["values"]) == 3
    assert row["median"] == sorted(wall["values"])[1] == wall["median"] > 0
    assert row["figures"]["peak_bytes"]["median"] > 2**20
    assert len(row["figures"]["system_calls"]["values"]) == 1
for case in "lifo/1", "batch/2":
    mine, other = rows[case, "terrane"], rows[case, "glibc"]
    assert abs(mine["ratio_to_best_other"] * other["median"] / mine["median"] - 1) < 1e-6
    assert mine["figures"]["system_calls"]["median"] != other["figures"]["system_calls"]["median"]
means = [s for s in report["summary"] if s["contender"] == "terrane" and s["figure"] == "wall_s"]
assert [s.get("threads") for s in means] == [None, 1, 2] and means[0]["cases"] == 2
assert means[0]["worst"] >= means[0]["geometric_mean_to_best"] >= 1'

expect_status 1 "$terrane" bench malloc $quick --cases lifo/1 --library dies="$work/dies.so" \
    --library hangs="$work/hangs.so" --contenders glibc,dies,hangs --limit 2
rows '
assert rows["lifo/1", "glibc"]["complete"]
assert "exit status 42" in rows["lifo/1", "dies"]["error"]
assert "time limit" in rows["lifo/1", "hangs"]["error"]
assert rows["lifo/1", "dies"]["median"] is None'

expect_status 1 "$terrane" bench programs $quick --cases small-processes \
    --library talks="$work/talks.so" --contenders glibc,terrane,talks
rows '
assert rows["small-processes", "terrane"]["complete"]
assert "output differs" in rows["small-processes", "talks"]["error"]'

# Work that is not finished in time is said to be unfinished, and is not the best.
expect_status 0 "$terrane" bench grow --rounds 1 --limit 1 --cases two/4K --contenders glibc --json
rows '
row = rows["two/4K", "glibc"]
assert row["complete"] or ("reached" in row["note"] and row["figures"]["data_bytes"]["median"] > 0)'
rmdir "$TMPDIR" || fail "temporary files are left behind"
