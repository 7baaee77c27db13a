#!/usr/bin/env bash
# The heap profile: readable by pprof, true in its totals, whoever allocates.
. "$(dirname "$0")/run.bash"

compile keeps -g -fno-optimize-sibling-calls <<'C'
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *volatile kept[60000];
static void *volatile sink;
__attribute__((noinline)) static void keep_small(void)
{
    for (int i = 0; i < 60000; i++)
        kept[i] = malloc(700);
}
__attribute__((noinline)) static void keep_large(void)
{
    static void *volatile large[20];
    for (int i = 0; i < 20; i++)
        large[i] = realloc(malloc(1000), 1 << 20);
}
__attribute__((noinline)) static void pass_through(void)
{
    for (int i = 0; i < 300000; i++) {
        sink = malloc(300);
        free(sink);
    }
}
int main(int argc, char **argv)
{
    (void)argv;
    keep_small();
    keep_large();
    pass_through();
    if (argc > 1 && fork() == 0) {
        for (int i = 0; i < 60000; i++)
            free(kept[i]);
        exit(0);
    }
    while (wait(NULL) > 0)
        continue;
    return 0;
}
C

# profile_check FILE LIVE EVER: reads the text form as its specification has it, undoes the sampling
# and compares the sums with the true ones, to a tolerance of four standard deviations.
cat >profile_check.py <<'PYTHON'
import math, re, sys
name, live, ever = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
lines = open(name).read().split("\n")
counts = r"(\d+): (\d+) \[(\d+): (\d+)\] @"
head = re.fullmatch(r"heap profile: " + counts + r" heap_v2/(\d+)", lines[0])
assert head, lines[0]
interval = int(head[5])
end = lines.index("MAPPED_LIBRARIES:")
def weigh(count, size):
    return size / (1 - math.exp(-size / count / interval)) if count else 0.0
sums = [0] * 4
estimates = [0.0, 0.0]
addresses = set()
for line in lines[1:end]:
    if not line:
        continue
    site = re.fullmatch(counts + r"((?: 0x[0-9a-f]+)+)", line)
    assert site, line
    numbers = [int(site[i]) for i in range(1, 5)]
    assert numbers[0] <= numbers[2] and numbers[1] <= numbers[3], line
    sums = [a + b for a, b in zip(sums, numbers)]
    estimates[0] += weigh(numbers[0], numbers[1])
    estimates[1] += weigh(numbers[2], numbers[3])
    addresses.update(int(a, 16) for a in site[5].split())
assert sums == [int(head[i]) for i in range(1, 5)], (sums, lines[0])
ranges = []
for line in lines[end + 1:]:
    if line:
        mapping = re.match(r"([0-9a-f]+)-([0-9a-f]+) [r-][w-][x-][ps] ", line)
        assert mapping, line
        ranges.append((int(mapping[1], 16), int(mapping[2], 16)))
for address in addresses:
    assert any(start <= address <= end for start, end in ranges), hex(address)
for what, estimate, true in (("live", estimates[0], live), ("ever", estimates[1], ever)):
    allowed = 4 * math.sqrt(interval * true) + 0.02 * true + interval
    assert abs(estimate - true) < allowed, (what, estimate, true, allowed)
PYTHON

small=$((60000 * 700)) large=$((20 << 20)) passed=$((300000 * 300))
for interval in 524288 65536 4096; do
    expect_status 0 "$terrane" run --no-report --env TERRANE_PROFILE_INTERVAL=$interval \
        --profile profile -- ./keeps
    [ ! -s err ] || fail "something was said: $(cat err)"
    "$python" profile_check.py profile $((small + large)) $((small + large + passed)) ||
        fail "profile with interval $interval"
done
# Every single allocation.
expect_status 0 "$terrane" run --env TERRANE_PROFILE_INTERVAL=1 --profile profile -- ./keeps
"$python" profile_check.py profile $((small + large)) $((small + large + passed)) || fail "all"
expect_words err 'exit status 0'

# A fork writes a file of its own and knows what its parent allocated.
rm -f profile*[0-9]
expect_status 0 "$terrane" run --profile profile -- ./keeps fork
[ "$(ls profile.[0-9]* | wc -l)" = 1 ] || fail "not one file of the fork"
"$python" profile_check.py profile $((small + large)) $((small + large + passed)) || fail "parent"
"$python" profile_check.py profile.[0-9]* $large $((small + large + passed)) || fail "fork"

# The program may change its directory and its children may be other programs.
rm -f profile*
expect_status 0 "$terrane" run --profile profile -- sh -c 'cd / && ls >/dev/null; exec ls'
[ -s profile ] && [ "$(ls profile.[0-9]* | wc -l)" = 1 ] || fail "files: $(ls)"

# A program without exit handlers leaves no profile, and that is said.
rm -f profile*
{ "$terrane" run --no-report --profile profile -- sh -c 'kill -KILL $$'; } 2>err
expect_words err 'no profile' 'exit handlers'
[ ! -e profile ] || fail "an empty profile stayed"
expect_status 0 "$terrane" run --no-report --env TERRANE_PROFILE_INTERVAL=much \
    --profile profile -- true
expect_words err "TERRANE_PROFILE_INTERVAL" "'much'"

# The tools themselves, where they are installed.
if command -v google-pprof >/dev/null; then
    expect_status 0 "$terrane" run --no-report --profile profile -- ./keeps
    google-pprof --text ./keeps profile >text 2>err || fail "google-pprof"
    expect_words text keep_small keep_large
fi
if command -v go >/dev/null && go tool pprof -h 2>&1 | grep -q -e '-top'; then
    go tool pprof -sample_index=alloc_space -top ./keeps profile >text 2>err || fail "pprof"
    expect_words text keep_small keep_large pass_through
fi
exit 0
