#!/bin/sh
# 07-new-plugin.sh - `kpipe new plugin` for each kind: it compiles by its own Makefile, passes its tests and the check,
# and works in a pipeline.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
CC=${CC:-cc}
B=$(dirname "$KPIPE") # built before: the tests of a plugin link its libraries
export CC

mkdir made loaded
for kind in source transform sink; do
    kpipe new plugin my-$kind --kind $kind --dir made
    is "new plugin of kind $kind" "$code $(find made/my-$kind -type f | sed 's|.*/||' | sort | tr '\n' ' ')" \
        "0 Makefile README.md my-$kind.c my-${kind}_test.c "
    is "no placeholder is left in it" "$(grep -rlE 'my-plugin|my_plugin|@[A-Z]+@' made/my-$kind)" ""
    make -s -C made/my-$kind CC="$CC" CFLAGS="-O1 -Wall -Wextra -Werror" >out 2>err
    is "its Makefile builds it without a warning" "$? $(messages)" "0 0"
    cp made/my-$kind/my-$kind.so loaded/
    kpipe plugin check made/my-$kind/my-$kind.so
    is "plugin check accepts it" "$code $(cat out)" "0 made/my-$kind/my-$kind.so: ok"
    if [ -f "$B/libkpharness.a" ] && ! sanitized; then
        make -s -C made/my-$kind test CC="$CC" KPIPE_SOURCE="$root" B="$B" >out 2>err
        is "its tests pass" "$? $(grep -c 'asserts' out)" "0 1"
    else
        skip "tests of my-$kind: $B/libkpharness.a is not built, or with a sanitizer"
    fi
    refuses "made a second time, it is not overwritten" 1 "cannot make made/my-$kind: File exists" \
        new plugin my-$kind --kind $kind --dir made
done
kpipe new plugin thing
is "without --kind: exit code 2 and the usage" "$code $(grep -c 'usage: kpipe new plugin' err)" "2 1"
refuses "into a folder that is not there" 1 "cannot make nowhere/thing" new plugin thing --kind sink --dir nowhere

KPIPE_PLUGINS=$work/loaded:$(dirname "$KPIPE")/plugins
export KPIPE_PLUGINS
for kind in source transform sink; do
    kpipe plugins my-$kind
    is "plugins my-$kind" "$code $(grep -c "^k.$kind\\[\"my-$kind\"\\]" out)" "0 1"
done
cat >server.py <<'END'
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("posted.txt", "ab") as f:
            f.write(body + b"\n")
        self.send_response(204); self.end_headers()
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
END
start server "$PYTHON" server.py
until_true 10 test -s server.out
SINK=http://127.0.0.1:$(cat server.out)/in
export SINK
pipeline three.lua <<'END'
return { kpipe = 1, name = "three", leases = "file:three.lease", flows = { main = {
  k.source["my-source"] { count = 5, every = "1ms" }, k.transform["my-transform"] { prefix = "new " },
  k.sink["my-sink"] { url = k.env("SINK", "") } } } }
END
run three.lua
is "the three of them make a pipeline" "$code" 0
balance "which delivers all records" main 5 5 0 0 0
is "to the other end" "$(grep -c '^new ' posted.txt) $(sort -u posted.txt | grep -c .)" "5 5"
run three.lua
is "run again, they go on behind the last record" "$code $(sum read)" "0 0"
finish
