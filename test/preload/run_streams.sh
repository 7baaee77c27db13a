#!/usr/bin/env bash
# Standard input, output and error are the program's own.
. "$(dirname "$0")/run.bash"

head -c 3000000 /dev/urandom >data
"$terrane" run -- cat <data >copy 2>err || fail "cat failed"
cmp data copy || fail "what went in did not come out"
"$terrane" run --output report -- cat <data 2>err | cmp - data || fail "not through a pipe"
[ -s err ] && fail "something on standard error although the report goes to a file"
expect_words report 'exit status 0' 'allocations'

# The report stands behind what the program says, and on standard error only.
expect_status 0 "$terrane" run -- sh -c 'echo said; echo complained >&2'
[ "$(cat out)" = said ] || fail "standard output has more than the program's"
[ "$(head -n 1 err)" = complained ] || fail "the report came first"
[ "$(wc -l <err)" -gt 5 ] || fail "no report on standard error"
expect_status 0 "$terrane" run --no-report -- sh -c 'echo said; echo complained >&2'
[ "$(cat out err)" = "$(printf 'said\ncomplained')" ] || fail "something was added"

# A program that closes its output ends the reader's file, though it runs on: nobody else holds it.
"$terrane" run --output report -- sh -c '
    echo first; exec >&-
    for i in $(seq 400); do [ -e reader-has-ended ] && exit 9; sleep 0.05; done' | {
    cat >text
    touch reader-has-ended
}
[ "${PIPESTATUS[0]}" = 9 ] || fail "the reader waited for the end of terrane run"
# The same the other way: who writes to a program that has ended its input gets a broken pipe.
sh -c 'yes; touch writer-has-ended' 2>/dev/null | "$terrane" run --output report -- sh -c '
    exec <&-
    for i in $(seq 400); do [ -e writer-has-ended ] && exit 9; sleep 0.05; done'
[ "${PIPESTATUS[1]}" = 9 ] || fail "the writer waited for the end of terrane run"

# Output to a closed standard error, or a full disk, is no reason to end otherwise.
"$terrane" run -- sh -c 'exit 5' 2>&-
[ $? = 5 ] || fail "another status without standard error"
# Closed streams stay closed, and the report does not take their place.
"$terrane" run --output report -- sh -c 'cat; echo text; exit 5' <&- >&- 2>&-
[ $? = 5 ] || fail "another status without any stream"
expect_words report 'exit status 5' allocations
grep -q '^text' report && fail "the program wrote into the report"
if [ -e /dev/full ]; then
    expect_status 5 "$terrane" run --output /dev/full -- sh -c 'exit 5'
    expect_words err 'the report is lost' /dev/full
fi
# An old, longer file is replaced as a whole.
seq 100000 >report
expect_status 0 "$terrane" run --report=json --output report -- true
report_of report "assert r['command'] == 'true'"
