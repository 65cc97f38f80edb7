# lib.sh - sourced by the gates: the root of the tree, the lists of files, and how to complain.
# shellcheck shell=sh

cd "$(dirname "$0")/.." || exit 1
gate=${0##*/}

# Files of the tree by pattern: what git knows, or all outside build folders where there is no git.
sources() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@" | while read -r name; do
            [ ! -f "$name" ] || echo "$name"
        done
    else
        for pattern in "$@"; do
            find . -path './build*' -prune -o -name "${pattern##*/}" -type f -print
        done | sed 's|^\./||' | sort
    fi
}

say() {
    echo "$gate: $*"
}

give_up() {
    echo "$gate: $*" >&2
    exit 1
}

need() {
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 ||
            give_up "$name is missing: scripts/install-deps ci brings it"
    done
}
