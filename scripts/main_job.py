"""Real programs on the system's malloc and on terrane's, side by side; see main-job.sh.

  main_job.py BUILD COMPILER

Three workloads: the system's compiler on terrane's own sources, python3 and sqlite3 on text
collected from files of this machine. Each runs in turns without and with `terrane run` (uncounted,
so that times compare), then once more counted. What they write must be the same to the byte every
time. At the end `terrane bench` shows growth and move. Leaves the reports of the counted runs in
BUILD/main-job; exit status 1 when a program fails or its output differs.
"""
import filecmp
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

ROUNDS = 3
LIMIT_SECONDS = 240  # of one run; none comes near it unless something hangs
CORPUS_BYTES = 6 << 20
CORPUS_FOLDERS = ["/usr/include", "/usr/lib/python3", "/usr/lib/python3.11", "/usr/share/perl",
                  "/usr/share/doc", "/usr/share/misc", "/etc"]
CORPUS_ENDS = (".h", ".py", ".pm", ".pl", ".txt", "copyright", ".conf", ".html")

COMPILE = """
set -eu
cd {sources}
printf '%s\\n' src/*/*.c preload/*.c | xargs -P "$(nproc)" -n 4 sh -c '
    for source; do
        {compiler} -std=gnu11 -D_GNU_SOURCE= -O2 -fPIC -Iinclude -Isrc -c "$source" \\
            -o "{out}/$(basename "$source" .c).o" || exit 255
    done' sh
"""

SQL = """
PRAGMA temp_store = MEMORY;
CREATE TABLE line (file INTEGER, number INTEGER, text TEXT);
.mode tabs
.import {lines} line
CREATE INDEX by_text ON line (text);
CREATE TABLE word AS
    WITH RECURSIVE split(rest, word) AS (
        SELECT text || ' ', '' FROM line WHERE number % 8 = 0
        UNION ALL
        SELECT substr(rest, instr(rest, ' ') + 1), substr(rest, 1, instr(rest, ' ') - 1)
        FROM split WHERE rest <> '')
    SELECT word, count(*) AS uses FROM split WHERE word <> '' GROUP BY word;
SELECT count(*), count(DISTINCT text), sum(length(text)) FROM line;
SELECT word, uses FROM word ORDER BY uses DESC, word LIMIT 500;
SELECT file, group_concat(number), max(length(text)) FROM line
    WHERE text LIKE '%return%' GROUP BY file ORDER BY file;
SELECT a.text, count(*) AS n FROM line a JOIN line b ON a.text = b.text AND a.file < b.file
    WHERE length(a.text) > 60 GROUP BY a.text ORDER BY n DESC, a.text LIMIT 200;
"""


class Failure(Exception):
    """Something that ends the job; the message is for the user."""


class Result:
    """Seconds and bytes of one run."""

    def __init__(self, wall, peak):
        self.wall, self.peak = wall, peak


def brief(command):
    """A command for a message; a script inside it is cut."""
    text = " ".join(shlex.join(command).split())
    return text if len(text) <= 160 else text[:160] + " ..."


def measure(command, out, errors):
    """Runs a command; standard output goes to a file in the folder `out`."""
    def expire(number, frame):
        raise TimeoutError
    signal.signal(signal.SIGALRM, expire)
    with open(os.path.join(out, "stdout"), "wb") as stdout, open(errors, "wb") as stderr:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        signal.alarm(LIMIT_SECONDS)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except TimeoutError:
            process.kill()
            raise Failure(f"no end after {LIMIT_SECONDS} s: {brief(command)}") from None
        finally:
            signal.alarm(0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        with open(errors, encoding="utf-8", errors="replace") as stderr:
            said = "".join(stderr.readlines()[-12:])
        how = (f"exit status {process.returncode}" if process.returncode > 0
               else f"signal {-process.returncode}")
        raise Failure(f"{how}: {brief(command)}\n{said}")
    return Result(wall, usage.ru_maxrss * 1024)


def same_contents(left, right):
    """None, or what differs between two folders of plain files."""
    names = sorted(os.listdir(left))
    if names != sorted(os.listdir(right)):
        return "other files were written"
    _, mismatch, errors = filecmp.cmpfiles(left, right, names, shallow=False)
    return ", ".join(mismatch + errors) or None


# ---- input ----

def corpus_files():
    for folder in CORPUS_FOLDERS:
        for path, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                if name.endswith(CORPUS_ENDS):
                    yield os.path.join(path, name)


def make_corpus(path):
    """Collects text of the machine as lines "file TAB number TAB text"; returns files and bytes."""
    files = size = 0
    with open(path, "w", encoding="ascii") as out:
        for name in corpus_files():
            try:
                with open(name, encoding="ascii", errors="ignore") as file:
                    lines = file.read(1 << 18).splitlines()
            except OSError:
                continue
            files += 1
            for number, line in enumerate(lines, 1):
                text = " ".join(line.replace('"', "'").split())
                if text:
                    size += out.write(f"{files}\t{number}\t{text}\n")
            if size >= CORPUS_BYTES:
                break
    if size < 1 << 16:
        raise Failure(f"found only {size} bytes of text in {', '.join(CORPUS_FOLDERS)}")
    return files, size


# ---- workloads ----

class Workload:
    """A named command; `command` gives it for a folder that it may write to."""

    def __init__(self, name, what, command):
        self.name, self.what, self.command = name, what, command


def workloads(work, compiler, lines):
    def compile_command(out):
        return ["sh", "-c", COMPILE.format(compiler=compiler, sources=sources, out=out)]

    def python_command(_):
        return [sys.executable, "scripts/workload.py", lines]

    def sqlite_command(_):
        return ["sqlite3", "-batch", "-bail", "-init", sql, ":memory:", ""]

    sources = os.path.join(work, "sources")  # a copy: the originals may be edited meanwhile
    for folder in ("include", "src", "preload"):
        shutil.copytree(folder, os.path.join(sources, folder))
    sql = os.path.join(work, "workload.sql")
    with open(sql, "w", encoding="ascii") as file:
        file.write(SQL.format(lines=lines))
    return [
        Workload("compiler", f"{compiler} -O2 on terrane's own sources", compile_command),
        Workload("python3", "words, sorting, JSON and objects of the collected text",
                 python_command),
        Workload("sqlite3", "import, index and queries of the collected text", sqlite_command),
    ]


class Runner:
    """Runs one workload in all ways and holds the outputs against the first one."""

    def __init__(self, build, work):
        self.terrane = os.path.join(build, "terrane")
        self.work = work

    def once(self, workload, options):
        """`options` of terrane run; None: without terrane."""
        out = os.path.join(self.work, "out")
        reference = os.path.join(self.work, "reference-" + workload.name)
        shutil.rmtree(out, ignore_errors=True)
        os.mkdir(out)
        command = workload.command(out)
        if options is not None:
            command = [self.terrane, "run", *options, "--", *command]
        result = measure(command, out, os.path.join(self.work, "errors"))
        if not os.path.exists(reference):
            os.rename(out, reference)
            return result
        difference = same_contents(reference, out)
        if difference:
            raise Failure(f"{workload.name}: output differs between {reference} and {out}: "
                          f"{difference}")
        return result

    def all_ways(self, workload):
        """The medians without and with terrane, and the report of a counted run."""
        plain, terrane = [], []
        for _ in range(ROUNDS):
            plain.append(self.once(workload, None))
            terrane.append(self.once(workload, ["--no-report"]))
        name = os.path.join(self.work, workload.name)
        self.once(workload, ["--report=json", "--output", name + ".json"])
        with open(name + ".json", encoding="utf-8") as file:
            report = json.load(file)
        return middle(plain), middle(terrane), report


def middle(results):
    """Lower median of time and of peak, each for itself."""
    return Result(sorted(r.wall for r in results)[(len(results) - 1) // 2],
                  sorted(r.peak for r in results)[(len(results) - 1) // 2])


# ---- what is printed ----

def size(count):
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.1f} {unit}" if unit != "bytes" else f"{count:.0f} bytes"
        count /= 1024
    return f"{count:.2f} GiB"


def duration(seconds):
    if seconds is None:
        return "-"
    for factor, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.2f} s"


def say(text=""):
    print(text, flush=True)


def print_programs(runner, all_workloads):
    say(f"  {'':10}{'time':>20}{'':22}{'peak memory':>12}")
    say(f"  {'':10}{'system':>10}{'terrane':>10}{'ratio':>8}   {'system':>12}{'terrane':>12}"
        f"{'ratio':>8}   output")
    reports = {}
    for workload in all_workloads:
        plain, terrane, reports[workload.name] = runner.all_ways(workload)
        say(f"  {workload.name:10}{duration(plain.wall):>10}{duration(terrane.wall):>10}"
            f"{terrane.wall / plain.wall:8.2f}   {size(plain.peak):>12}{size(terrane.peak):>12}"
            f"{terrane.peak / plain.peak:8.2f}   identical")
    return reports


def print_reports(all_workloads, reports):
    say("\nWhat terrane did for them, by a counted run each:")
    say(f"  {'':10}{'processes':>10}{'allocations':>13}{'live peak':>12}   resized: "
        f"{'in place':>10}{'remapped':>12}{'copied':>12}")
    for workload in all_workloads:
        report = reports[workload.name]
        resizes = report["resizes"]
        kept = resizes["same class"]["bytes"] + resizes["in place"]["bytes"]
        say(f"  {workload.name:10}{len(report['processes']):>10}"
            f"{report['calls']['allocations']:>13,}{size(report['live_peak']):>12}            "
            f"{size(kept):>10}{size(resizes['remapped']['bytes']):>12}"
            f"{size(resizes['copied']['bytes']):>12}")


def bench(build, name, contenders, cases):
    """The figures {case: {contender: row}} of a quick bench."""
    command = [os.path.join(build, "terrane"), "bench", name, "--quick", "--json",
               "--contenders", ",".join(contenders), "--cases", ",".join(cases)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"no end after {LIMIT_SECONDS} s: {brief(command)}") from None
    if done.returncode != 0:
        raise Failure(f"exit status {done.returncode}: {brief(command)}\n{done.stderr}")
    table = {}
    for row in json.loads(done.stdout)["rows"]:
        table.setdefault(row["case"], {})[row["contender"]] = row
    return table


def seconds_of(rows, contender):
    row = rows.get(contender)
    return row["median"] if row is not None and row["complete"] else None


def faster(own, other):
    """How many times as fast as the other."""
    if not own or not other:
        return "-"
    return f"{other / own:.0f} x" if other / own >= 99.5 else f"{other / own:.2g} x"


def print_growth(build):
    table = bench(build, "grow", ["glibc", "terrane"],
                  ["one/double/touched", "two/4-64K", "two/4-64K/touched",
                   "sixteen/4-64K/touched"])
    say("\nGrowing arrays to 512 MiB by realloc, time inside realloc (`terrane bench grow`: all):")
    say(f"  {'arrays / step':26}{'system':>12}{'terrane':>12}{'faster':>12}")
    for case, rows in table.items():
        plain, own = seconds_of(rows, "glibc"), seconds_of(rows, "terrane")
        say(f"  {case:26}{duration(plain):>12}{duration(own):>12}{faster(own, plain):>12}")


def print_move(build):
    table = bench(build, "move", ["move", "warm", "fresh"], ["64K", "1M", "16M", "64M"])
    say("\nMoving an object to another heap, against memcpy (`terrane bench move`: all):")
    say(f"  {'size':14}{'into fresh':>12}{'into warm':>12}{'terrane':>12}{'faster':>12}")
    for case, rows in table.items():
        warm, own = seconds_of(rows, "warm"), seconds_of(rows, "move")
        say(f"  {case:14}{duration(seconds_of(rows, 'fresh')):>12}{duration(warm):>12}"
            f"{duration(own):>12}{faster(own, warm):>12}")


def main(build, compiler):
    work = os.path.abspath(os.path.join(build, "main-job"))
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    lines = os.path.join(work, "lines.tsv")
    files, text_bytes = make_corpus(lines)
    all_workloads = workloads(work, compiler, lines)
    runner = Runner(build, work)
    say(f"Real programs on the system's malloc and on terrane's, in turns; input: {files} files of "
        f"this machine, {size(text_bytes)}.\n")
    for workload in all_workloads:
        say(f"  {workload.name:10} {workload.what}")
    say()
    reports = print_programs(runner, all_workloads)
    print_reports(all_workloads, reports)
    page = os.path.join(work, "python3.html")
    runner.once(all_workloads[1], ["--report=html", "--output", page])
    print_growth(build)
    print_move(build)
    for name in ("lines.tsv", "workload.sql", "errors"):
        os.unlink(os.path.join(work, name))
    for name in ["out", "sources"] + ["reference-" + workload.name for workload in all_workloads]:
        shutil.rmtree(os.path.join(work, name), ignore_errors=True)
    say(f"\nThe report of the python3 run as a page: {os.path.relpath(page)}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failure as failure:
        sys.exit(f"main job: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
