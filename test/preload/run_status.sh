#!/usr/bin/env bash
# terrane run ends as the program ends, and gives it exactly its arguments and environment.
. "$(dirname "$0")/run.bash"

for status in 0 1 2 42 125 127 255; do
    expect_status $status "$terrane" run -- sh -c "exit $status"
    expect_status $status "$terrane" run --no-report -- sh -c "exit $status"
    expect_status $status "$terrane" run --report=json --output report -- sh -c "exit $status"
    report_of report "assert r['exit_status'] == $status and r['signal'] is None"
done

# A shell shows 128 + n for a death by signal and for an exit with that status; waitpid does not.
cat >waits.py <<'PYTHON'
import subprocess, sys
number = int(sys.argv[1])
ended = subprocess.run(sys.argv[2:], stderr=subprocess.DEVNULL).returncode
sys.exit(0 if ended == -number else f"ended with {ended} instead of signal {number}")
PYTHON
for signal in HUP INT QUIT ABRT KILL SEGV PIPE TERM USR1; do
    number=$(kill -l $signal)
    for options in --report=text "--report=json --output report" --no-report; do
        # Unquoted: these are several words.
        expect_status 0 "$python" waits.py "$number" "$terrane" run $options -- \
            "$python" -c "import os, signal
signal.signal($number, signal.SIG_DFL) if $number != 9 else 0
os.kill(os.getpid(), $number)"
    done
    report_of report "assert r['signal'] == $number and r['exit_status'] is None"
done

compile arguments <<'C'
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("[%s]\n", argv[i]);
    printf("preload [%s]\n", getenv("LD_PRELOAD"));
    printf("setting [%s]\n", getenv("SETTING") != NULL ? getenv("SETTING") : "");
    return 0;
}
C
expect_status 0 "$terrane" run -- ./arguments --output x '' 'a b' -- "it's"
printf '[%s]\n' ./arguments --output x '' 'a b' -- "it's" >wanted
grep '^\[' out | cmp - wanted || fail "the arguments changed"

# Options end at the program's name, too.
expect_status 0 "$terrane" run ./arguments --no-report
expect_words out '[--no-report]'
expect_words err 'terrane run: ./arguments --no-report: exit status 0'

library=$(realpath "${terrane%/*}/libterrane-malloc.so")
other=$(ldd arguments | sed -n 's/.*=> \(\/.*libc\.so[^ ]*\).*/\1/p')
expect_status 0 env LD_PRELOAD="$other" "$terrane" run -- ./arguments
expect_words out "preload [$library:$other]"
expect_status 0 env -u LD_PRELOAD "$terrane" run -- ./arguments
expect_words out "preload [$library]"
expect_status 0 env SETTING=old "$terrane" run --env SETTING=first --env 'SETTING=a=b c' \
    -- ./arguments
expect_words out 'setting [a=b c]'

# The program is found as the shell finds it.
mkdir bin && cp arguments bin/on-path
expect_status 0 env PATH="$work/bin:$PATH" "$terrane" run -- on-path
expect_words out '[on-path]'

# A new working directory of the program does not matter to the report's file.
expect_status 0 "$terrane" run --report=json --output report -- sh -c 'cd / && ls >/dev/null'
report_of report "assert r['exit_status'] == 0 and len(r['processes']) >= 2"
