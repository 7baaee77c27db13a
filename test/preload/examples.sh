#!/usr/bin/env bash
# The examples do what they and the README say, and the README's first one is the file it names.
. "$(dirname "$0")/run.bash"
root=$OLDPWD
examples=${terrane%/*}/examples
[ -x "$examples/versions" ] || skip "no $examples: run make tests first"

# says NAME WORD...: the example succeeds, says nothing on standard error, and prints these.
says() {
    local name=$1
    shift
    expect_status 0 "$examples/$name"
    [ ! -s err ] || fail "$name says $(cat err)"
    expect_words out "$@"
}

says growing_table "268435456 bytes moved, 0 copied"
says typed_region "10000000 points" "the last at 9999999, one more is not there"
says versions "published  4000000 days, sum 7999998000000" \
    "prices     4000005 days, sum 7999998009000" \
    "corrected  4000000 days, sum 7999995999999" "recent     366 days, sum 1459934205"
copied=$(sed -n 's/^32000000 bytes, four versions, \([0-9]*\) bytes copied$/\1/p' out)
[ "${copied:-999999}" -lt 262144 ] || fail "versions copies $copied bytes"

printf '%s\n' pear apple fig >unsorted
"$examples/sort_lines" <unsorted >out || fail "sort_lines exits with $?"
printf '%s\n' apple fig pear | cmp - out || fail "sort_lines sorts wrongly"

awk '/^```/ { if (inside) exit; inside = $0 == "```c"; next } inside' "$root/README.md" >first.c
sed 1d "$root/examples/growing_table.c" | cmp first.c - ||
    fail "the README's example is not examples/growing_table.c"
