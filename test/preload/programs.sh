#!/usr/bin/env bash
# Real programs on terrane: each runs plain, with the drop-in preloaded, and under `terrane
# run`; what it prints must be the same to the byte, it must end alike, and the report must show
# that terrane served it.
#
# FULL=1     larger inputs: sort of 1 GB in memory, more of everything (minutes) PROGRAMS   the
# ones to run, of those defined below (all)
. "$(dirname "$0")/run.bash"

preload=${terrane%/*}/libterrane-malloc.so
source_tree=$OLDPWD
full=${FULL:-}
limit=${PROGRAM_TIMEOUT:-300}
failures=0
ran=0

# size SMALL LARGE: as FULL says.
size() {
    echo "${full:+$2}" | grep . || echo "$1"
}

plain() {
    timeout "$limit" "$@"
}

preloaded() {
    LD_PRELOAD=$preload timeout "$limit" "$@"
}

under_run() {
    timeout "$limit" "$terrane" run --report=json --output "$work/report.json" -- "$@"
}

# The processes under the last `terrane run` asked for at least $1 allocations together.
expect_served() {
    report_of "$work/report.json" "
def allocations(node):
    if isinstance(node, dict):
        own = node.get('allocations', 0)
        own = own if isinstance(own, int) else 0
        return own + sum(allocations(v) for v in node.values())
    return sum(allocations(v) for v in node) if isinstance(node, list) else 0
assert allocations(r) >= $1, ('allocations', allocations(r), 'wanted', $1)
"
}

# three_ways NAME ALLOCATIONS: runs the function NAME, which gets a way to start programs as its
# arguments and prints what is to be compared, in each of the three ways.
three_ways() {
    local name=$1 allocations=$2 way start
    printf '%-8s' "$name"
    for way in plain preloaded under_run; do
        rm -rf "$work/$name-data"
        start=$EPOCHREALTIME
        if ! "$name" "$way" >"$way.out" 2>"$way.err" </dev/null; then
            echo " FAILED: $way ended badly"
            tail -n 5 "$way.out" "$way.err"
            failures=$((failures + 1))
            return
        fi
        awk -v w="$way" -v a="$start" -v b="$EPOCHREALTIME" \
            'BEGIN { printf " %s %.1f s", w, b - a }'
        if ! cmp plain.out "$way.out" || ! cmp plain.err "$way.err"; then
            echo " FAILED: other output"
            diff plain.err "$way.err" | tail -n 5
            failures=$((failures + 1))
            return
        fi
    done
    if ! (expect_served "$allocations"); then
        failures=$((failures + 1))
        return
    fi
    ran=$((ran + 1))
    echo " ok"
}

# program NAME ALLOCATIONS TOOL...: three_ways, unless a tool is missing or it was not asked for.
program() {
    local name=$1 allocations=$2 tool
    shift 2
    case " ${PROGRAMS:-$name} " in *" $name "*) ;; *) return ;; esac
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            echo "$name    skipped: no $tool here"
            return
        fi
    done
    three_ways "$name" "$allocations"
}

# ---- the programs ----

make_c_source() {
    "$python" - "$(size 250 5000)" <<'PYTHON'
import sys
print("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>")
for i in range(int(sys.argv[1])):
    print(f"struct s{i} {{ int a[{i % 7 + 1}]; struct s{max(i - 1, 0)} *next; double d; }};")
    print(f"int f{i}(struct s{i} *s, int n) {{ int sum = {i}; for (int i = 0; i < n; i++) {{")
    print(f" switch (i % 5) {{ case 0: sum += s->a[i % {i % 7 + 1}]; break;")
    print(f" case 1: sum ^= n * {i};")
    print(f" break; default: sum += (int)(s->d * {i}.5); printf(\"%d {i}\\n\", sum); }} }}")
    print(f" return sum + (s->next ? (int)strlen(getenv(\"X{i}\")) : 0); }}")
PYTHON
}

gcc_compiles() {
    "$1" gcc -O2 -S -o - "$work/large.c"
}

python_works() {
    PYTHONHASHSEED=0 PYTHONMALLOC=malloc "$1" "$python" - "$(size 30000 300000)" <<'PYTHON'
import hashlib, json, random, re, sys, threading
count = int(sys.argv[1])
random.seed(1)
people = [{"id": i, "name": "n%d" % random.randrange(10**6), "tags": [random.random()
          for _ in range(i % 9)], "text": "x" * random.randrange(200)} for i in range(count)]
text = json.dumps(people)
again = json.loads(text)
assert again == people
index = {}
for person in again:
    index.setdefault(person["name"][:3], []).append(person)
words = re.findall(r"n\d+", text)
results = []
def work(n):
    rows = sorted(people, key=lambda p: (p["name"], -p["id"]))[n::4]
    results.append((n, hashlib.sha256(repr(rows).encode()).hexdigest()))
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(results), len(index), len(words))
big = bytearray()
for i in range(2000):
    big += bytes([i % 256]) * 5000
print(hashlib.sha256(big).hexdigest(), sum(len(v) for v in index.values()))
PYTHON
}

perl_works() {
    "$1" perl - "$(size 60000 800000)" <<'PERL'
use strict; use warnings;
my $count = shift; my (%seen, @rows); my $state = 7;
sub draw { $state = ($state * 1103515245 + 12345) % 2147483648; return $state; }
for my $i (1 .. $count) {
    my $key = join "-", map { draw() % 1000 } 1 .. 3;
    push @{ $seen{ substr $key, 0, 2 } }, $key;
    push @rows, [ $key, draw() % 100, "v" x (draw() % 50) ];
}
my $text = join "\n", map { join ",", @$_ } @rows;
my $matches = () = $text =~ /\b(\d+)-\1\b/g;
(my $changed = $text) =~ s/(\d+)/<$1>/g;
my @sorted = sort { $a->[1] <=> $b->[1] || $a->[0] cmp $b->[0] } @rows;
my $sum = unpack "%32C*", $changed;
print "$matches $sum ", scalar(keys %seen), " $sorted[0][0] $sorted[-1][0] ", length $changed, "\n";
print "$_ ", scalar @{ $seen{$_} }, "\n" for sort keys %seen;
PERL
}

sqlite_works() {
    "$1" sqlite3 :memory: <<SQL
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER, blob TEXT);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT $(size 60000 600000))
  INSERT INTO t SELECT i, 'name' || (i * 7919 % 10007), i * 31 % 1009,
    substr('abcdefghijklmnopqrstuvwxyz', 1, i % 26) || hex(i * i) FROM c;
CREATE INDEX by_name ON t (name); CREATE INDEX by_n ON t (n, blob);
SELECT n, count(*), max(blob), group_concat(id % 10, '') FROM t WHERE n < 20 GROUP BY n ORDER BY n;
UPDATE t SET blob = blob || name WHERE n % 3 = 0;
DELETE FROM t WHERE id % 5 = 0;
SELECT count(*), sum(length(blob)), min(name), max(name) FROM t;
SELECT a.name, b.id FROM t a JOIN t b ON a.name = b.name AND a.id < b.id
  ORDER BY a.blob DESC, b.id LIMIT 50;
SELECT name, count(*) AS k FROM t GROUP BY name ORDER BY k DESC, name LIMIT 20;
PRAGMA integrity_check;
SQL
}

git_works() {
    local repository=$work/git_works-data
    git clone -q --no-hardlinks --bare "$source_tree" "$repository" 2>/dev/null || return
    "$1" git -C "$repository" -c pack.threads=2 -c diff.renames=copies log -p --stat --all
    "$1" git -C "$repository" -c pack.threads=2 gc -q --aggressive --prune=now || return
    git -C "$repository" count-objects -v | grep -E '^(count|in-pack|packs|garbage)'
    git -C "$repository" fsck --full --strict 2>&1 || return
    git -C "$repository" cat-file --batch-all-objects --batch | sha256sum
}

# Half of memory is given to sort, so that it does not touch the disk but for its result.
sort_works() {
    LC_ALL=C "$1" sort -S 60% --parallel=2 -k 2 "$work/lines" | sha256sum
}

cxx_threads_work() {
    "$1" "$work/threads_cxx" "$(size 40 400)"
}

node_works() {
    "$1" node - "$(size 40000 400000)" <<'NODE'
const crypto = require('crypto');
const count = Number(process.argv[2]);
let state = 7;
const draw = () => (state = (state * 1103515 + 12345) % 2147483648);
const rows = Array.from({ length: count }, (_, i) => ({ id: i, key: 'k' + draw() % 5000,
    values: Array.from({ length: i % 7 }, draw) }));
const map = new Map();
for (const row of rows) map.set(row.key, (map.get(row.key) || []).concat(row.id));
const text = JSON.stringify(rows);
const again = JSON.parse(text).sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : a.id - b.id);
const buffers = [];
for (let i = 0; i < 200; i++) buffers.push(Buffer.alloc(10000 + i * 500, i));
console.log(map.size, again[0].id, crypto.createHash('sha256').update(text).digest('hex'));
console.log(crypto.createHash('sha256').update(Buffer.concat(buffers)).digest('hex'));
NODE
}

# ---- redis: a server, its benchmark, and what it then holds ----

redis_started() {
    local i
    for ((i = 0; i < 200; i++)); do
        redis-cli -s "$1" ping 2>/dev/null | grep -q PONG && return
        sleep 0.1
    done
    echo "the server does not answer"
    return 1
}

redis_commands() {
    awk -v n="$(size 20000 200000)" 'BEGIN {
        for (i = 0; i < n; i++) {
            printf "SET key:%d %0*d\n", i * 7 % 9973, i % 300 + 1, i
            printf "LPUSH list:%d value%d\nHSET hash:%d field%d %d\n", i % 50, i, i % 70, i % 31, i
            printf "ZADD set:%d %d member%d\nAPPEND grows:%d %0*d\n", i % 40, i, i, i % 9, i % 90, i
            if (i % 11 == 0) printf "DEL key:%d list:%d\n", i % 9973, i % 50
        }
    }'
}

# The server's own status is compared, not what it logs.
redis_works() {
    local socket=$work/redis.sock server status=0
    rm -f "$socket"
    "$1" redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no --daemonize no \
        --loglevel warning --enable-debug-command yes --dir "$work" >"$work/redis.log" 2>&1 &
    server=$!
    if redis_started "$socket"; then
        redis-benchmark -s "$socket" -n "$(size 8000 200000)" -P 16 -r 5000 -q \
            -t set,get,incr,lpush,lpop,sadd,hset,spop,zadd,lrange,mset >"$work/benchmark" 2>&1 ||
            status=1
        redis-cli -s "$socket" flushall >/dev/null
        redis_commands | redis-cli -s "$socket" --pipe >/dev/null || status=1
        redis-cli -s "$socket" dbsize
        redis-cli -s "$socket" --scan | LC_ALL=C sort | while read -r key; do
            echo "DUMP $key"
        done | redis-cli -s "$socket" | sha256sum
        redis-cli -s "$socket" debug digest
        redis-cli -s "$socket" shutdown nosave
    else
        kill "$server"
        status=1
    fi
    wait "$server" || status=1
    [ "$status" = 0 ] || cat "$work/redis.log" "$work/benchmark"
    return $status
}

# ---- all of them ----

make_c_source >large.c
"$python" - "$(size 48 1000)" >lines <<'PYTHON'
import random, sys
random.seed(5)
for _ in range(int(sys.argv[1])):
    sys.stdout.write("".join("%08x %08x line of text\n" % (random.getrandbits(32),
                     random.getrandbits(32)) for _ in range(1000000 // 31)))
PYTHON
if command -v g++ >/dev/null; then
    g++ -O2 -std=c++17 -pthread -o threads_cxx "$source_tree/test/preload/threads_cxx.cc" ||
        fail "cannot compile threads_cxx.cc"
fi

program gcc_compiles 10000 gcc
program python_works 100000 "$python"
program perl_works 100000 perl
program sqlite_works 10000 sqlite3
program cxx_threads_work 100000 g++
program node_works 1000 node
program sort_works 20 sort
# Debian's redis links jemalloc, but calls malloc by its plain name: what is preloaded comes first.
# That it does is what the count of allocations proves.
program redis_works 100000 redis-server redis-cli redis-benchmark
if git -C "$source_tree" rev-parse -q --verify HEAD >/dev/null 2>&1; then
    program git_works 10000 git
else
    echo "git_works skipped: this tree is no git repository"
fi

[ "$failures" = 0 ] || fail "$failures programs"
[ "$ran" -gt 0 ] || skip "none of the programs is here"
