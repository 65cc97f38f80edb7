# maven.sh - libraries that Maven fetches, and programs in Java that use them. Sourced behind lib.sh or packages.sh;
# $here is the folder of the pom.xml files and sources.
# shellcheck shell=sh disable=SC2034,SC2154

# Libraries of $pom from the repository under $CALLER_HOME; offline first, which takes no time.
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
        echo "not ok - the programs for ${packages##*/build/} do not compile"
        exit 1
    }
    path="$classes:$packages/*"
}
