# packages.sh - packages that npm or Maven fetches, once per list of packages, into build/. Sourced by lib.sh,
# and by scripts/bench; whoever does so has $tree, the root of the tree, $work, a folder that goes away, and skip_rest REASON.
# shellcheck shell=sh disable=SC2154

CALLER_HOME=${CALLER_HOME:-$HOME} # tests/run has another HOME; npm and Maven keep settings and downloads there

# packages_of NAME FILE...: sets $packages to where what the files ask for lies, or will.
packages_of() {
    name=$1
    shift
    packages=$tree/build/$name/$(cat "$@" | cksum | tr ' ' '-')
}

# fetch_packages CLIENT WRONG: has fetch() fill $packages unless that was done before. Without a
# registry the rest is skipped, but not when what CLIENT says matches WRONG.
fetch_packages() {
    [ ! -d "$packages" ] || return 0
    fresh=$packages.$$
    mkdir -p "$fresh" || exit 1
    if ! fetch "$fresh" >"$work/fetch.log" 2>&1; then
        rm -rf "$fresh"
        if grep -E "$2" "$work/fetch.log"; then
            echo "not ok - $1 refuses the list of packages"
            exit 1
        fi
        why=$(grep -o -E '(Could not|Cannot|error code).*' "$work/fetch.log" | tail -n 1)
        skip_rest "$1 could not fetch its packages: ${why:-$(tail -n 1 "$work/fetch.log")}"
    fi
    mv -T "$fresh" "$packages" 2>/dev/null || rm -rf "$fresh" # another run was faster
    [ -d "$packages" ] || exit 1
}
