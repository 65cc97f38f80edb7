#!/bin/sh
# kcl.sh - kpipe beside the Kinesis Client Library and the Kinesis Producer Library themselves, on the
# local AWS. Arguments name some of the parts: taker assigned (kcl/fleet.py) kpl (kcl/aggregates.py).
#
# The libraries of kcl/*/pom.xml come through Maven as those of java.sh do; without javac, mvn or the
# libraries one line says so and the rest is skipped. KCL_SECONDS=180 is the long form of the fleets,
# with KCL's own fail-over time.
# shellcheck disable=SC1091,SC2034,SC2154 # variables come from lib.sh, and are for it
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/maven.sh"

here=$(cd "$(dirname "$0")" && pwd)/kcl
python=${PYTHON:-/usr/bin/python3}

for tool in java javac "$python"; do
    command -v "$tool" >/dev/null 2>&1 || skip_rest "there is no $tool"
done
[ $# -gt 0 ] || set -- taker assigned kpl
program kcl2 worker kcl2
kcl2=$path
program kcl3 worker kcl3
kcl3=$path
case " $* " in
*' kpl '*)
    program kpl kpl
    kpl=$path
    ;;
esac

hermetic
local_options=--tls # KPL speaks nothing else
start_local
for part in "$@"; do
    mkdir "$work/$part.d"
    case $part in
    kpl) "$python" "$here/aggregates.py" "$url" "$work/$part.d" "$KPIPE" "$kcl2" "$kcl3" "$kpl" ;;
    *) "$python" "$here/fleet.py" "$part" "$url" "$work/$part.d" "$KPIPE" "$kcl2" "$kcl3" ;;
    esac || failed=1
done
[ "$failed" -eq 0 ] || tail -n 20 "$work/log" | sed 's/^/# log: /'
exit "$failed"
