#!/bin/sh
# sdk.sh - drives the local AWS with boto3, kills it, and looks for everything on the same folder:
# every sdk*.py with the URL and "first", then with "again".
# shellcheck disable=SC1091,SC2154,SC2034 # variables come from and go to lib.sh
. "$(dirname "$0")/lib.sh"

PYTHON=${PYTHON:-/usr/bin/python3}

phase() {
    for script in "$(dirname "$0")"/sdk*.py; do
        "$PYTHON" "$script" "$url" "$1" || failed=1
    done
}

hermetic
start_local
phase first
crash_local
start_local
phase again
if [ "$failed" -ne 0 ]; then
    tail -n 40 "$work/log" | sed 's/^/# log: /'
fi
exit "$failed"
