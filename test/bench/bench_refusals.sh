#!/usr/bin/env bash
# terrane bench refuses a wrong command line with its name, the reason and a remedy, and status 2.
. "$(dirname "$0")/../preload/run.bash"

refuses() {
    local word=$1
    shift
    expect_status 2 "$terrane" bench "$@"
    expect_words err "terrane bench: " "$word" "terrane bench --help"
    [ ! -s out ] || fail "a refusal printed to standard output: $*"
}

refuses "unknown bench 'nix'" nix
refuses "unknown option '--nix'" --nix malloc
refuses "unknown option '-x'" -x malloc
refuses "'--quick' takes no value" malloc --quick=3
refuses "'--rounds' wants a value" malloc --rounds
for number in 0 -1 1x '' 99999999999999999999; do
    refuses "--rounds wants a whole number" malloc --rounds "$number"
done
refuses "--seed wants a whole number" malloc --seed two
refuses "--cases: none of 'malloc' matches 'nix'" malloc --cases nix
refuses "--contenders: none of 'malloc' matches 'nix'" malloc --contenders nix
refuses "no figure 'nix'" malloc --by nix
refuses "no figure 'nix'" malloc --figures wall_s,nix
refuses "--library wants NAME=PATH" malloc --library nix
refuses "cannot read $work/nix" malloc --library "nix=$work/nix"
refuses "$work/nix is not a folder" regions --scratch-dir "$work/nix"
refuses "cannot make $work/nix/plots" malloc --plot "$work/nix/plots"

expect_status 0 "$terrane" bench
expect_words out kernel grow move malloc regions arrays programs
expect_status 0 "$terrane" bench --help
expect_words out --contenders --rounds --json --scratch-dir
expect_status 0 "$terrane" bench --list malloc grow
expect_words out lifo/2 two/4-64K/touched glibc terrane
expect_status 2 "$terrane" nix
expect_words err "unknown command 'nix'" 'terrane help'
expect_status 2 "$terrane" info --nix
expect_words err "unknown option '--nix'"
