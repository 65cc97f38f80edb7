#!/bin/sh
# kcl.sh - kpipe beside the Kinesis Client Library and the Kinesis Producer Library themselves, on the
# local AWS. Arguments name some of the parts: taker assigned (kcl/fleet.py) kpl (kcl/aggregates.py).
#
# The libraries of kcl/*/pom.xml come through Maven as those of java.sh do; without javac, mvn or the
# libraries one line says so and the rest is skipped. KCL_SECONDS=180 is the long form of the fleets,
# with KCL's own fail-over time.
# shellcheck disable=SC1091,SC2034,SC2154 # variables come from lib.sh, and are for it
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)/kcl
python=${PYTHON:-/usr/bin/python3}

# Of the repository under $CALLER_HOME; offline first, which takes no time.
fetch() {
    for how in --offline --no-transfer-progress; do
        if timeout 300 mvn -q -B -Dstyle.color=never "$how" -Duser.home="$CALLER_HOME" -f "$pom" \
            dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1"; then
            return 0
        fi
    done
    return 1
}

# program NAME FOLDER...: sets $path to the class path of that library and of what the folders compile to.
program() {
    pom=$here/$1/pom.xml
    packages_of "interop-$1" "$pom"
    [ -d "$packages" ] || command -v mvn >/dev/null 2>&1 || skip_rest "there is no mvn"
    fetch_packages Maven 'Non-parseable POM'
    classes=$work/$1
    mkdir "$classes"
    shift
    for folder in "$@"; do
        set -- "$@" "$here/$folder"/*.java
        shift
    done
    javac -nowarn -encoding UTF-8 -proc:none -cp "$packages/*" -d "$classes" "$@" || {
        echo "not ok - the programs in kcl/ do not compile"
        exit 1
    }
    path="$classes:$packages/*"
}

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
