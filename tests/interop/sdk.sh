#!/bin/sh
# sdk.sh - drives the local AWS with boto3, kills it, and looks for everything on the same folder.
# shellcheck disable=SC1091,SC2154,SC2034 # variables come from and go to lib.sh
. "$(dirname "$0")/lib.sh"

PYTHON=${PYTHON:-/usr/bin/python3}

hermetic
start_local
"$PYTHON" "$(dirname "$0")/sdk.py" "$url" first || failed=1
crash_local
start_local
"$PYTHON" "$(dirname "$0")/sdk.py" "$url" again || failed=1
if [ "$failed" -ne 0 ]; then
    tail -n 40 "$work/log" | sed 's/^/# log: /'
fi
exit "$failed"
