# What the tests of `terrane run` share. A script sources this first:
#
#   $terrane      the command of the build under test
#   $python       the interpreter that python3 stands for
#   $work         a folder of this script's own, current and removed at its end
#   compile NAME [FLAGS...] <source     builds $work/NAME
#   report_of FILE CODE [ARGS...]       runs Python CODE with the JSON report of FILE as `r`
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
terrane=${TERRANE_BUILD:-$PWD/build}/terrane
ulimit -c 0

skip() {
    echo "$*"
    exit 77
}

fail() {
    echo "failed: $*"
    exit 1
}

[ -x "$terrane" ] || skip "no $terrane: run make first"
[ -e "${terrane%/*}/libterrane-malloc.so" ] || skip "no drop-in malloc beside $terrane"
# The interpreter itself: what is found in PATH may be a script that looks for it.
python=$(python3 -c 'import sys; print(sys.executable)') || skip "no python3"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# expect_status WANTED COMMAND...: keeps what was printed in the files out and err.
expect_status() {
    local wanted=$1 status
    shift
    "$@" >out 2>err </dev/null
    status=$?
    [ "$status" = "$wanted" ] || {
        cat out err
        fail "status $status instead of $wanted: $*"
    }
}

# expect_words FILE WORD...: each must be in the file.
expect_words() {
    local file=$1 word
    shift
    for word in "$@"; do
        grep -qF -e "$word" "$file" || {
            cat "$file"
            fail "'$word' is missing in $file"
        }
    done
}

compile() {
    local name=$1
    shift
    ${CC:-gcc} -O1 -x c - -o "$name" "$@" || fail "cannot compile $name"
}

report_of() {
    local file=$1 code=$2
    shift 2
    "$python" - "$file" "$@" <<PYTHON || fail "the report in $file is wrong"
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    r = json.load(file)
$code
PYTHON
}

# rows CODE: runs Python CODE with report, the report of a bench in the file out, its
# rows[case, contender] and median(case, contender, figure).
rows() {
    "$python" -c '
import json, sys
report = json.load(open("out"))
rows = {(row["case"], row["contender"]): row for row in report["rows"]}
def median(case, contender, figure):
    return rows[case, contender]["figures"][figure]["median"]
exec(sys.argv[1])' "$1" || fail "$1"
}
