#!/usr/bin/env bash
# The report: right in its figures, there however the processes end, and well-formed in every form.
. "$(dirname "$0")/run.bash"

# ---- figures ----
compile counts -pthread <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* 8 threads: 20 000 times 100 bytes each, half of them freed; then one block grown to 64 MiB. */
static void *work(void *context)
{
    static void *volatile kept[8][20000];
    const long which = (long)context;
    for (int i = 0; i < 20000; i++) {
        kept[which][i] = malloc(100);
        if (i % 2 == 0)
            free(kept[which][i]);
    }
    return NULL;
}
int main(int argc, char **argv)
{
    (void)argv;
    pthread_t threads[8];
    for (long i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    char *block = NULL;
    for (size_t mib = 1; mib <= 64; mib++) {
        block = realloc(block, mib << 20);
        memset(block + ((mib - 1) << 20), 1, 1 << 20);
    }
    if (argc > 1)
        _exit(7);
    usleep(50000);
    return 3;
}
C
expect_status 3 "$terrane" run --report=json --output report -- ./counts
report_of report '
assert r["report"] == "terrane-run" and r["version"] == 1 and r["exit_status"] == 3
assert len(r["processes"]) == 1 and r["unreadable"] == 0
p = r["processes"][0]
assert p["end"] == "exit" and p["exit_status"] == 3 and p["command"] == "./counts"
hundred = [s for s in r["sizes"] if s["from"] <= 100 <= s["to"]]
assert hundred[0]["count"] in range(160000, 160050), hundred
assert r["calls"]["allocations"] in range(160001, 160200), r["calls"]
assert r["calls"]["frees"] in range(80000, 80200), r["calls"]
resized = r["resizes"]
assert sum(way["count"] for way in resized.values()) in range(63, 80), resized
assert resized["copied"]["bytes"] < 4 << 20, resized
live = 64 * 2**20 + 80000 * 100
assert live <= p["live_peak"] <= live * 1.25, p["live_peak"]
assert live <= p["live_end"] <= live * 1.25, p["live_end"]
assert 0 < p["live_mean"] <= p["live_peak"]
touched = 64 * 2**20
assert p["resident_peak"] >= touched and r["resident_peak"] >= touched
assert p["minor_faults"] > 0 and r["minor_faults"] >= p["minor_faults"]
assert 0.05 <= r["wall"] < 60 and 0 < r["allocator_seconds"] < r["wall"] * 8
assert r["space"]["run_bytes"] >= 64 * 2**20 and r["space"]["mappings"] > 0
times = [point["time"] for point in p["memory"]]
assert times == sorted(times) and len(times) >= 5, times
assert max(point["live_peak"] for point in p["memory"]) <= p["live_peak"]
assert max(point["resident"] for point in p["memory"]) >= touched
assert sum(s["count"] for s in r["sizes"]) == r["calls"]["allocations"] + sum(
    way["count"] for way in resized.values())
'

# ---- however it ends ----
# Neither _exit nor a signal runs any code of ours, and the counts are there all the same.
expect_status 7 "$terrane" run --report=json --output report -- ./counts now
report_of report '
assert r["calls"]["allocations"] >= 160001 and r["calls"]["frees"] >= 80000
assert r["processes"][0]["live_peak"] >= 64 * 2**20'
for signal in KILL ABRT SEGV TERM; do
    number=$(kill -l $signal)
    { "$terrane" run --report=json --output report -- "$python" -c "
import os, signal
kept = [bytes(5000) for i in range(4000)]
signal.signal($number, signal.SIG_DFL) if $number != 9 else 0
os.kill(os.getpid(), $number)"; } 2>/dev/null
    [ $? = $((128 + number)) ] || fail "another status for $signal"
    report_of report "
assert r['signal'] == $number
p = r['processes'][-1]
assert p['end'] == 'signal' and p['signal'] == $number, p
assert p['calls']['allocations'] > 3900 and p['live_peak'] > 4000 * 5000, p"
done
{ "$terrane" run -- sh -c 'kill -ABRT $$'; } >out 2>err
expect_words err 'killed by SIGABRT' allocations

# ---- the whole tree ----
cat >tree.py <<'PYTHON'
import os, signal, subprocess, sys
if os.fork() == 0:                       # fork without exec
    kept = [bytes(3000) for i in range(5000)]
    if os.fork() == 0:                   # of a fork, killed
        more = [bytes(3000) for i in range(9000)]
        os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
    os._exit(11)
os.wait()
subprocess.run(["sh", "-c", "exec sort /dev/null"])   # exec twice in one process
subprocess.run("cat /dev/null | cat | cat", shell=True)
PYTHON
expect_status 0 "$terrane" run --report=json --output report -- "$python" tree.py
report_of report '
by_command = {}
for p in r["processes"]:
    by_command.setdefault(p["command"].split()[0].split("/")[-1], []).append(p)
forks = [p for p in r["processes"] if p["forked"] and "tree.py" in p["command"]]
assert len(forks) == 2, [p["command"] for p in r["processes"]]
first, second = sorted(forks, key=lambda p: p["live_peak"])
assert first["end"] == second["end"] == "unknown"
assert second["parent_pid"] == first["pid"]
assert first["calls"]["allocations"] in range(4900, 9000), first["calls"]
assert second["calls"]["allocations"] in range(8900, 18000), second["calls"]
assert second["live_peak"] >= first["live_end"] + 9000 * 3000, "a fork begins with what lives"
assert len(by_command["cat"]) == 3
shells = [p for p in by_command["sh"] if "sort" in p["command"]]
assert shells[0]["end"] == "exec" and shells[0]["pid"] == by_command["sort"][0]["pid"]
assert sum(p["calls"]["allocations"] for p in r["processes"]) == r["calls"]["allocations"]
assert r["live_peak"] >= second["live_peak"]'

# Many at once, and more threads than counters of their own.
expect_status 0 "$terrane" run --report=json --output report -- sh -c '
    for i in $(seq 100); do ./counts now & [ $((i % 10)) = 0 ] && wait; done; wait; true'
report_of report '
those = [p for p in r["processes"] if p["command"] == "./counts now"]
assert len(those) == 100, len(those)
for p in those:
    assert p["calls"]["allocations"] in range(160001, 160200), p["calls"]
assert sum(p["memory"] is not None for p in r["processes"]) == 64'

# A process that runs on when the program has ended is said to, and nothing is left behind.
expect_status 0 "$terrane" run --report=json --output report -- sh -c '
    echo $TERRANE_REPORT_DIR >directory; sleep 3 >/dev/null 2>&1 & sleep 0.5'
report_of report 'assert {p["command"]: p["end"] for p in r["processes"]}["sleep 3"] == "running"'
[ -n "$(cat directory)" ] && [ ! -e "$(cat directory)" ] || fail "$(cat directory) is still there"
{ "$terrane" run -- sh -c 'echo $TERRANE_REPORT_DIR >directory; kill -KILL $$'; } 2>/dev/null
[ -n "$(cat directory)" ] && [ ! -e "$(cat directory)" ] || fail "$(cat directory) is still there"

# ---- pages that are none ----
cat >vandal.py <<'PYTHON'
import os, random, sys
folder = os.environ["TERRANE_REPORT_DIR"]
random.seed(int(sys.argv[1]))
mine = [n for n in os.listdir(folder) if n.startswith(f"{os.getpid()}.")][0]
whole = bytearray(open(f"{folder}/{mine}", "rb").read())
def put(name, data):
    with open(f"{folder}/{name}.report", "wb") as file:
        file.write(data)
put("999999991.1", b"")
put("999999992.1", whole[:100])
put("999999993.1", bytes(len(whole)))
put("999999994.1", whole + b"x")
put("999999995.1", random.randbytes(len(whole)))
put("noise", whole[:-1])
head = bytes(whole[:40])
for i in range(30):        # a right head and anything behind it
    put(f"{999999000 + i}.1", head + random.randbytes(len(whole) - 40))
for i in range(30):        # single bytes changed
    bad = bytearray(whole)
    for _ in range(8):
        bad[random.randrange(40, len(bad))] = random.randrange(256)
    put(f"{999998000 + i}.1", bad)
os.symlink("/dev/zero", f"{folder}/7.1.report")
PYTHON
for seed in 1 2 3; do
    for form in json text html; do
        expect_status 0 timeout 60 "$terrane" run --report=$form --output report -- \
            "$python" vandal.py $seed
    done
    expect_status 0 "$terrane" run --report=json --output report -- "$python" vandal.py $seed
    report_of report 'assert r["unreadable"] >= 7, r["unreadable"]
assert any("vandal.py" in p["command"] and p["end"] == "exit" for p in r["processes"])'
done
# The directory itself taken away.
expect_status 0 "$terrane" run -- sh -c 'rm -r "$TERRANE_REPORT_DIR"; ls >/dev/null'
expect_words err 'no process counted'
# A program that empties its environment is simply not in the report.
expect_status 0 "$terrane" run --report=json --output report -- env -i PATH="$PATH" ls
report_of report 'assert "ls" not in [p["command"] for p in r["processes"]]'

# ---- forms ----
strange=$'<b>&"quoted"\'\\ \t\xc3\xa4 \xff\xfe end</b>'
for form in json html text; do
    expect_status 0 "$terrane" run --report=$form --output report.$form -- \
        "$python" -c 'kept = [bytes(2 ** k) for k in range(24)]' "$strange"
done
report_of report.json 'assert "<b>&\"quoted\"" in r["command"] and "\u00e4 ?? end" in r["command"]'
expect_words report.text 'exit status 0' live resident faults sizes remapped copied process
[ "$(wc -L <report.text)" -lt 250 ] || fail "lines too long to read"
"$python" - report.html <<'PYTHON' || fail "the page is not well-formed"
import html.parser, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
VOID = {"meta", "br", "link", "img", "input", "hr"}
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.words = [], {}, ""
    def handle_starttag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        assert tag not in ("script", "link", "img", "iframe"), tag
        for name, value in attributes:
            assert name not in ("src", "href") and "url(" not in (value or ""), (name, value)
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1
    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())
    def handle_data(self, data):
        self.words += data
page = Page()
page.feed(text)
page.close()
assert not page.open, page.open
assert text.startswith("<!DOCTYPE html>") and "prefers-color-scheme: dark" in text
assert "http:" not in text and "https:" not in text and "@import" not in text
assert page.seen["svg"] >= 4 and page.seen["rect"] > 8 and page.seen["b"] == 8, page.seen
assert "<b>&\"quoted\"" in page.words
for number in re.findall(r'd="([^"]*)"', text):
    assert re.fullmatch(r"[ML0-9. -]+", number), number[:80]
assert "nan" not in text and "inf" not in re.sub(r"infinite|info", "", page.words)
PYTHON
