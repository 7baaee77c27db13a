#!/usr/bin/env bash
# The column store of the examples beside sqlite3: a table of a million rows, versions of it with
# rows behind and before, two that go on from the same one, all alive at once and asked the same
# questions in any order. What both print must be the same to the byte.
#
# Sums of weights are exact in whatever order they are added: all are multiples of 1/8.
set -eu

store=${TERRANE_BUILD:-$PWD/build}/examples/column_store
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -x "$store" ] || {
    echo "no $store: run make examples first"
    exit 77
}
cd "$work"

fail() {
    echo "failed: $*"
    exit 1
}

# make_rows SEED ROWS CITY...: of each fourth row, the text is in quotes though it need not.
make_rows() {
    awk -v x="$1" -v rows="$2" -v more="$3" '
    BEGIN {
        cities = "Oslo|Porto|\"New York\"|\"Washington, D.C.\"|\"the \"\"old\"\" town\"|Zürich"
        cities = cities "|\"two\nlines\"" more
        count = split(cities, city, "|")
        print "id,city,kind,cents,weight"
        for (i = 0; i < rows; i++) {
            x = (x * 16807) % 2147483647
            kind = int(x / 7) % 100
            printf "%d,%s,%s,%d,%.3f\n", i, city[x % count + 1],
                   i % 4 == 0 ? "\"k" kind "\"" : "k" kind, x % 200001 - 100000, x % 8009 / 8
        }
    }'
}

# ask VERSION FUNCTIONS [WHERE [BY]]: adds the question, as both say it.
ask() {
    local where=${3:+ where $3} by=${4:-} columns=${2// /, }
    echo "select $1 $2$where${by:+ by $by}" >>commands
    columns=${columns/count/'count(*)'}
    echo "select ${by:+$by, }$columns from $1$where${by:+ group by $by order by $by};" >>sql
}

make_rows 1 1000000 '' >base.csv
make_rows 2 50000 '|Quito|a' | sed 's/$/\r/' >more.csv
make_rows 3 30000 '|Quito|Accra' >other.csv
make_rows 4 70000 '|b||Turku' >early.csv
make_rows 5 1 '' >single.csv
make_rows 6 0 '' >none.csv
truncate -s -1 single.csv # no newline at the end

for table in base more other early single; do
    echo "create table f_$table(id integer, city text, kind text, cents integer, weight real);"
    echo ".import --csv --skip 1 $table.csv f_$table"
done >sql
# make_version VERB NAME OLD FILE
make_version() {
    local parts="select * from $3 union all select * from f_$4"
    echo "$1 $2 $3 $4.csv" >>commands
    echo "create view $2 as $parts;" >>sql
}
echo "load base base.csv" >commands
echo "create view base as select * from f_base;
.mode csv
.separator , \"\\n\"" >>sql
ask base 'count sum(cents) min(cents) max(cents) avg(cents) sum(weight) min(weight) max(weight)'
make_version append appended base more
make_version append forked base other
make_version prepend both appended early
make_version prepend earlier base early
make_version append single both single
echo "append same single none.csv" >>commands
echo "create view same as select * from single;" >>sql

for version in base appended forked both earlier single same; do
    ask $version 'count sum(cents) min(id) max(id) sum(weight) avg(weight)'
done
ask base 'count sum(cents) avg(weight)' "cents >= 99000 and kind = 'k17'" city
ask single 'count sum(cents) avg(weight)' "cents >= 99000 and kind = 'k17'" city
ask both 'count sum(cents) min(cents) max(cents) avg(cents)' "city != 'Quito'" kind
ask appended 'min(weight) max(weight) sum(cents)' "weight > 12.5 and weight <= 900" city
ask forked 'count avg(cents)' "city < 'Q' and city >= 'New York'" city
ask base 'count sum(cents) avg(weight) min(id)' "city = 'nowhere'"
ask earlier 'count' "city = 'Turku' and cents < 0 and cents > -50000" kind
ask base 'count' "city = 'Quito'" city

echo memory >>commands

"$store" <commands >ours 2>said || fail "column_store ends with $?"
sqlite3 -batch :memory: <sql >theirs 2>err || fail "sqlite3: $(cat err)"
cmp ours theirs || {
    diff ours theirs | head -n 20
    fail "other answers than sqlite3's"
}
[ "$(wc -l <ours)" -gt 200 ] || fail "only $(wc -l <ours) lines of answers"
echo "ok: $(wc -l <ours) lines of answers"

# A row takes 32 bytes; a copy of the table for each version would be 230 MiB.
cat said
read -r versions _ rows _ kib _ < <(tr -d , <said)
[ "$versions" = 7 ] && [ "$rows" = 7510002 ] && [ "$kib" -lt $((64 << 10)) ] || fail "too much"

# refused MESSAGE COMMAND...: the store says so and ends.
refused() {
    local message=$1
    shift
    "$store" "$@" >out 2>err && fail "not refused: $*"
    grep -qF -e "$message" err || fail "$* said $(cat err)"
}
printf 'id,city\n1,x\n2\n' >short.csv
printf 'id,city,kind,cents,weight\nx,y,z,1,2\n' >text.csv
printf 'id,town\n1,x\n' >town.csv
refused 'row 2 of short.csv' 'load t short.csv'
refused 'column id of text.csv does not fit' 'load t single.csv' 'append u t text.csv'
refused 'other columns' 'load t single.csv' 'append u t town.csv'
refused 'No such file' 'load t nothing.csv'
refused 'there is no u' 'load t single.csv' 'select u count'
refused 'no column' 'load t single.csv' 'select t sum(price)'
refused 'column of text' 'load t single.csv' 'select t sum(city)'
refused 'does not fit' 'load t single.csv' 'select t count where cents = x'
refused 'no such command' 'load t'
printf 'n\n9223372036854775807\n1\n' >large.csv
refused 'integer overflow' 'load t large.csv' 'select t sum(n)'
echo "ok: refusals"
