#!/usr/bin/env bash
# terrane stat on live processes: programs on the library, on the drop-in malloc and under terrane
# run, their forks and their ends; processes and pages that it must refuse.
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/run.bash"
build=${terrane%/*}
malloc=$build/libterrane-malloc.so
started=()
trap 'kill -9 "${started[@]}" 2>/dev/null; rm -rf "$work"' EXIT

# start FILE COMMAND...: in the background, until it has printed a line to FILE; sets `pid`.
start() {
    local file=$1
    shift
    rm -f "$file"
    "$@" >"$file" 2>"$file.err" </dev/null &
    pid=$!
    started+=("$pid")
    for _ in $(seq 200); do
        [ -s "$file" ] && return
        sleep 0.05
    done
    cat "$file.err"
    fail "no sign of life: $*"
}

stop() {
    kill -"$1" "$2" 2>/dev/null
    wait "$2" 2>/dev/null
}

# figures PID CODE: runs Python CODE with the JSON of terrane stat as `r`.
figures() {
    expect_status 0 "$terrane" stat --json "$1"
    report_of out "$2"
}

refused() { # MESSAGE... -- ARGUMENTS...
    local words=()
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    shift
    expect_status 1 "$terrane" stat "$@"
    [ -s out ] && fail "something was printed: stat $*"
    expect_words err "${words[@]}"
    [ "$(wc -l <err)" = 1 ] || fail "more than one line: stat $*"
}

# ---- programs ----

# Ten blocks of a MiB, one of them exchanged every 20 ms; FORKS children that do the same.
compile hold <<'C'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void hold(void)
{
    static char *volatile blocks[10];
    for (int i = 0;; i++) {
        free(blocks[i % 10]);
        blocks[i % 10] = memset(malloc(1 << 20), 1, 1 << 20);
        if (i == 40) {
            printf("%d\n", (int)getpid());
            fflush(stdout);
        }
        usleep(i < 10 ? 0 : 20000);
    }
}
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "end") == 0)
        return 3;
    if (argc > 1 && strcmp(argv[1], "die") == 0)
        raise(SIGKILL);
    if (argc > 1 && fork() != 0)
        usleep(1000000); /* the child's line comes first */
    hold();
}
C

# Regions of several sizes; then nothing changes any more, and it prints its own counters.
compile counts -I"$root/include" -L"$build" -lterrane -Wl,-rpath,"$build" <<'C'
#include <stdio.h>
#include <string.h>
#include <terrane/terrane.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD,
                                            .window_bytes = 1ul << 34};
    struct terrane_space *spaces[2] = {terrane_space_default(), NULL};
    if (terrane_space_create(&options, &spaces[1]) != 0)
        return 1;
    for (int s = 0; s < 2; s++) {
        terrane_pool_set_decay(spaces[s], UINT64_MAX);
        for (int i = 0; i < 40; i++) {
            struct terrane_region region;
            if (terrane_region_acquire(spaces[s], 50000ul << i % 7, &region) != 0)
                return 1;
            memset(region.data, 1, 1000);
            if (i % 3 != 0)
                terrane_region_release(&region);
        }
    }
    if (terrane_stats_publish(argc > 1 ? argv[1] : NULL) != 0)
        return 1;
    for (int s = 0; s < 2; s++) {
        struct terrane_pool_stats stats;
        terrane_pool_stats(spaces[s], &stats);
        const struct terrane_order_stats *t = &stats.total;
        printf("%lu %lu %lu %lu %lu %lu %lu %lu %lu\n", t->acquires, t->releases, t->cache_hits,
               t->refills, t->live_bytes, t->held_peak, t->cached_bytes, stats.mapped_bytes,
               stats.file_bytes);
    }
    fflush(stdout);
    for (;;)
        pause();
}
C

same_counts='
lines = [[int(n) for n in line.split()] for line in open("counts.out")]
assert len(r["spaces"]) == 2 and [s["backing"] for s in r["spaces"]] == ["private", "memfd"]
for space, wanted in zip(r["spaces"], lines):
    pool, total = space["pool"], space["pool"]["total"]
    got = [total[name] for name in ("acquires", "releases", "cache_hits", "refills", "live_bytes",
                                    "held_peak", "cached_bytes")]
    assert got + [pool["mapped_bytes"], pool["file_bytes"]] == wanted, (got, wanted)
    for field in total:
        if field != "held_peak":
            assert total[field] == sum(order[field] for order in pool["orders"]), field
assert r["sum"]["pool"]["total"]["acquires"] == sum(line[0] for line in lines) == 80
assert r["missing"] == 0 and r["torn"] is False and r["ended"] is False'

# ---- a program on the library ----
start counts.out ./counts
library=$pid
figures "$library" "assert r['pid'] == $library$same_counts"
expect_status 0 "$terrane" stat "$library"
expect_words out "process $library  ./counts" "space 0, private" "space 1, memfd" acquires live
start counts.out ./counts "$work"
[ -e "terrane-stat.$pid" ] || fail "no page in the directory"
figures "$pid" "$same_counts"
[ "$(ls -l "/proc/$pid/fd" | grep -c terrane-stat)" = 0 ] || fail "a descriptor stays open"
stop KILL "$pid"
refused "there is no process $pid" -- "$pid"
figures "./terrane-stat.$pid" "${same_counts/ended\"] is False/ended\"] is True}"
rm "terrane-stat.$pid"

# ---- a process that has another number, and another root, than it sees itself ----
if unshare -pmf --mount-proc true 2>/dev/null; then
    mkdir inside
    start counts.out unshare -pmf --mount-proc sh -c '
        mount -t tmpfs none inside && exec ./counts "$PWD/inside"'
    inner=$(pgrep -P "$pid")
    [ -z "$(ls inside)" ] || fail "the page can be seen from outside"
    figures "$inner" "assert r['pid'] == $inner$same_counts"
    stop KILL "$inner"
fi

# ---- OpenMetrics ----
expect_status 0 "$terrane" stat --openmetrics "$library"
for checker in "$build/test/api/stats_as_text" "$build/release/test/api/stats_as_text"; do
    [ -x "$checker" ] && { "$checker" out >checked || fail "no OpenMetrics: $(cat checked)"; }
done
expect_words out 'terrane_pool_bytes{space="1",backing="memfd",state="live"} ' \
    'terrane_process_pool_acquires_total 80' 'terrane_process_ended 0' '# EOF'

# ---- the drop-in malloc ----
on_malloc=(env LD_PRELOAD="$malloc") # env becomes the program
start hold.out "${on_malloc[@]}" TERRANE_OPTIONS=publish=1 ./hold
ls -l "/proc/$pid/fd" | grep -q 'memfd:terrane-stat' || fail "no descriptor"
figures "$pid" '
large = r["spaces"][0]["space"]
assert 9 << 20 <= large["large_bytes"] <= 13 << 20, large
assert r["age_ns"] < 5e9, r["age_ns"]'
sleep 0.3
before=$("$terrane" stat --json "$pid" | "$python" -c \
    'import json, sys; print(json.load(sys.stdin)["sum"]["space"]["large_allocs"])')
sleep 0.5
figures "$pid" "assert r['sum']['space']['large_allocs'] > $before" # it is renewed
stop TERM "$pid"
start hold.out "${on_malloc[@]}" "TERRANE_OPTIONS=hardened=0,publish=$work" ./hold
figures "$pid" 'assert r["spaces"][0]["space"]["large_bytes"] >= 9 << 20'
stop TERM "$pid"
rm -f terrane-stat.*
expect_status 3 "${on_malloc[@]}" TERRANE_OPTIONS="publish=$work" ./hold end
[ -z "$(ls | grep terrane-stat)" ] || fail "a page stays behind"
for options in publish=2 publish=here publish= publish; do
    expect_status 3 "${on_malloc[@]}" TERRANE_OPTIONS=$options ./hold end
    [ "$(grep -c '^terrane: TERRANE_OPTIONS: ' err)" = 1 ] || fail "no warning: $options"
done
expect_status 3 "${on_malloc[@]}" TERRANE_OPTIONS=publish=/no/such/place ./hold end
expect_words err "nothing is published"
expect_status 3 "${on_malloc[@]}" TERRANE_OPTIONS=publish=0 ./hold end
[ -s err ] && fail "publish=0 is no mistake"

# ---- under terrane run ----
start run.out "$terrane" run --report=json --output report -- \
    sh -c './hold & exec ./hold' # one forked and started, one that took the shell's place
run=$pid
sleep 1.5
[ "$(wc -l <run.out)" = 2 ] || fail "not both run: $(cat run.out)"
while read -r each; do
    figures "$each" "
assert r['pid'] == $each and r['spaces'][0]['space']['large_bytes'] >= 9 << 20
assert r['age_ns'] < 2e9, r['age_ns']"
    ls -l "/proc/$each/fd" | grep -q terrane && fail "a descriptor more under terrane run"
done <run.out
kill $(cat run.out)
wait "$run" 2>/dev/null
report_of report 'assert r["unreadable"] == 0 and len(r["processes"]) >= 3'

# Pages of processes that are gone go while the run goes on.
"$terrane" run --output report -- sh -c '
    i=0
    while [ $i -lt 30 ]; do ./hold die; i=$((i + 1)); done
    sleep 2.5
    ls "$TERRANE_REPORT_DIR" | grep -c terrane-stat' >count 2>killed
[ "$(cat count)" -le 5 ] || fail "$(cat count) pages lie around"

# ---- fork ----
start hold.out "${on_malloc[@]}" TERRANE_OPTIONS=publish=1 ./hold fork
parent=$pid
child=$(head -1 hold.out)
[ "$child" != "$parent" ] || fail "the parent was first"
figures "$parent" "assert r['pid'] == $parent"
refused "process $child (./hold fork) publishes nothing" -- "$child"
kill -9 "$child"
stop KILL "$parent"
start hold.out "${on_malloc[@]}" "TERRANE_OPTIONS=publish=$work" ./hold fork
parent=$pid
child=$(head -1 hold.out)
figures "$child" "assert r['pid'] == $child and r['spaces'][0]['space']['large_bytes'] >= 9 << 20"
figures "$parent" "assert r['pid'] == $parent"
kill -9 "$child"
stop KILL "$parent"
rm -f terrane-stat.*

# ---- the end of a process that is watched ----
start hold.out "${on_malloc[@]}" TERRANE_OPTIONS=publish=1 ./hold
"$terrane" stat --interval 0.1 --count 1000 "$pid" >watched 2>&1 &
watcher=$!
sleep 0.7
stop KILL "$pid"
wait "$watcher" || fail "the watcher failed: $(tail -3 watched)"
expect_words watched "the process has ended" "/s" "a second"
[ "$(grep -c '^process' watched)" -ge 4 ] || fail "too few tables"
refused "there is no process $pid" -- "$pid"

# ---- what publishes nothing, and what must not be looked into ----
start sleep.out sh -c 'echo; exec sleep 60'
refused "publishes nothing" "terrane run" "publish=1" -- "$pid"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 .
    cp "$terrane" command
    expect_status 1 setpriv --reuid=65534 --clear-groups ./command stat "$library"
    expect_words err "cannot look into process $library" "be its user, or root"
fi
for words in "" x 0 -1 "1 2" 99999999999 "--interval 0 1" "--interval x 1" "--count 0 1" \
    "--count" "--nothing 1"; do
    expect_status 2 "$terrane" stat $words # unquoted: these are several words
    expect_words err "terrane stat --help"
done
expect_status 0 "$terrane" stat --help
expect_words out "usage: terrane stat"

# ---- pages that are none ----
whole=$((4096 * 251))
head -c $whole /dev/urandom >noise
head -c $whole /dev/zero >zeros
head -c 5000 /dev/zero >short
: >empty
descriptor=$(ls -l "/proc/$library/fd" | sed -n 's/.* \([0-9]*\) -> .memfd:terrane-stat.*/\1/p')
"$python" - <<PYTHON
with open("/proc/$library/fd/$descriptor", "rb") as file:
    page = bytearray(file.read())
open("good", "wb").write(page)
open("cut", "wb").write(page[:-1])
other = bytearray(page); other[8] ^= 3
open("version", "wb").write(other)
bad = bytearray(page); bad[4096 + 800] ^= 1
open("damaged", "wb").write(bad)
PYTHON
mkfifo pipe
figures ./good "$same_counts"
for page in noise zeros; do refused "is not a stat page" -- ./$page; done
for page in short empty cut; do refused "too short for a stat page" -- ./$page; done
refused "stat page of another version" -- ./version
refused "not an ordinary file" -- ./pipe
refused "not an ordinary file" -- /dev/zero
refused "cannot open the stat page ./none" -- ./none
# Its process lives, so that a wrong checksum is damage and not the end of the process.
refused "is damaged" -- ./damaged

# A process that has something else mapped under the name of its page.
cat >impostor.py <<'PYTHON'
import mmap, os, sys, time
path = "terrane-stat.%d" % os.getpid()
os.link(sys.argv[1], path)
with open(path, "r+b") as file:
    kept = mmap.mmap(file.fileno(), 4096)
print("ready", flush=True)
time.sleep(60)
PYTHON
start impostor.out "$python" impostor.py noise
refused "terrane-stat.$pid is not a stat page" -- "$pid"
rm "terrane-stat.$pid"
refused "the stat page of process $pid" "was removed" -- "$pid"
start impostor.out "$python" impostor.py short
refused "too short for a stat page" -- "$pid"

# ---- on a terminal ----
cat >terminal.py <<'PYTHON'
import os, pty, select, struct, fcntl, subprocess, sys, termios, time
command, key = sys.argv[1:-1], sys.argv[-1].encode().decode("unicode_escape").encode()
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
before = termios.tcgetattr(slave)
child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                         preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
shown, start, sent = b"", time.time(), False
while time.time() - start < 20 and (child.poll() is None or select.select([master], [], [], 0)[0]):
    if select.select([master], [], [], 0.1)[0]:
        shown += os.read(master, 65536)
    if not sent and time.time() - start > 1.2:
        assert termios.tcgetattr(slave) != before
        os.write(master, key)
        sent = True
assert child.wait(5) == 0, child.returncode
assert termios.tcgetattr(slave) == before
enter, leave = shown.index(b"\x1b[?1049h"), shown.index(b"\x1b[?1049l")
screens = shown[enter:leave].split(b"\x1b[H")[1:]
assert len(screens) >= 3, len(screens)
for screen in screens:
    screen = screen.replace(b"\x1b[K", b"").replace(b"\x1b[J", b"").replace(b"\r\r", b"\r")
    rows = screen.split(b"\r\n")
    assert len(rows) <= 10 and all(len(row) <= 40 for row in rows[:-1]), rows
last = shown[leave:]
assert b"process" in last and b"space 0, private" in last, last
assert key != b"q" or time.time() - start < 15
PYTHON
start hold.out "${on_malloc[@]}" TERRANE_OPTIONS=publish=1 ./hold
for key in q '\x03'; do
    "$python" terminal.py "$terrane" stat --interval 0.2 "$pid" "$key" || fail "on a terminal: $key"
done
"$python" terminal.py "$terrane" stat --interval 0.2 --count 4 "$pid" x ||
    fail "--count on a terminal"
