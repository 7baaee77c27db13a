#!/usr/bin/env bash
# Signals reach the program as if it had been started directly, job control included.
. "$(dirname "$0")/run.bash"

# wait_for CONDITION...: up to ten seconds.
wait_for() {
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" && return
        sleep 0.05
    done
    fail "waited in vain for: $*"
}

state_is() {
    [ "$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)" = "$2" ]
}

gone() {
    [ ! -e "/proc/$1" ] || state_is "$1" Z
}

cat >listens.py <<'PYTHON'
import os, signal, sys, time
counts = {}
def note(number, frame):
    counts[number] = counts.get(number, 0) + 1
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGINT, signal.SIGRTMIN):
    signal.signal(number, note)
def leave(number, frame):
    with open("counts", "w") as file:
        file.write(" ".join(f"{signal.Signals(n).name}={c}" for n, c in sorted(counts.items())))
    sys.exit(42)
signal.signal(signal.SIGTERM, leave)
with open("directory", "w") as file:
    file.write(os.environ["TERRANE_REPORT_DIR"])
with open("pid.new", "w") as file:
    file.write(str(os.getpid()))
os.rename("pid.new", "pid")
while True:
    time.sleep(0.05)
PYTHON

start() {
    rm -f pid counts
    "$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$terrane" run --output report -- "$python" listens.py &
    runner=$!
    wait_for test -e pid
    program=$(cat pid)
}

start
for signal in USR1 USR2 WINCH INT RTMIN; do
    kill -$signal $runner
    sleep 0.2
done
kill -TERM $runner
wait $runner
[ $? = 42 ] || fail "the program's handler did not decide the exit status"
[ "$(cat counts)" = "SIGINT=1 SIGUSR1=1 SIGUSR2=1 SIGWINCH=1 SIGRTMIN=1" ] ||
    [ "$(cat counts)" = "SIGINT=1 SIGUSR1=1 SIGUSR2=1 SIGWINCH=1 34=1" ] ||
    fail "signals were lost or doubled: $(cat counts)"
expect_words report 'exit status 42'

# Stopped from outside, the program stops, and so do we; continued, both go on.
start
kill -TSTP $runner
wait_for state_is "$program" T
wait_for state_is $runner T
kill -CONT $runner
wait_for state_is "$program" S
wait_for state_is $runner S
kill -TERM $runner
wait $runner
[ $? = 42 ] || fail "another status after a stop"

# SIGKILL cannot be passed on; the program must not stay behind.
start
kill -KILL $runner
wait $runner 2>/dev/null
wait_for gone "$program"
rm -r "$(cat directory)" # the only case in which it stays

# Signals ignored by whoever starts us stay ignored in the program, and block nothing.
cat >dispositions.py <<'PYTHON'
import signal
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
assert not blocked, blocked
assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
PYTHON
"$python" - "$terrane" <<'PYTHON' || fail "signal dispositions changed"
import signal, subprocess, sys
def ignore():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
sys.exit(subprocess.Popen([sys.argv[1], "run", "--output", "report", "--", sys.executable,
                           "dispositions.py"], preexec_fn=ignore).wait())
PYTHON

# Ctrl-C on a terminal goes to the whole group: the program gets it once, not twice.
"$python" - "$terrane" <<'PYTHON' || fail "Ctrl-C on a terminal"
import os, pty, sys, time
for name in ("pid", "counts"):
    if os.path.exists(name):
        os.unlink(name)
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "--output", "report", "--", sys.executable,
                           "listens.py"])
deadline = time.time() + 10
while not os.path.exists("pid") and time.time() < deadline:
    time.sleep(0.05)
os.write(terminal, b"\x03")
time.sleep(0.5)
os.kill(pid, 15)
status = os.waitpid(pid, 0)[1]
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 42, status
counts = open("counts").read()
assert counts == "SIGINT=1", counts
PYTHON
