#!/bin/sh
# 11-refused.sh - occupied ports, missing rights, no region, no credentials, dead endpoints: one clear message, the right
# exit code, and every record is there in the end.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
LIMIT=15

pipeline ok.lua <<'END'
return { kpipe = 1, name = "ok", leases = "file:ok.lease", flows = { main = { k.source.list { records = { "a" } }, k.sink.null {} } } }
END

# ---- occupied ports

start keeper "$PYTHON" -c '
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
print(s.getsockname()[1], flush=True)
time.sleep(60)'
until_true 5 test -s keeper.out
port=$(cat keeper.out)
refuses "local on an occupied port" 1 "127.0.0.1:$port is in use" local --port "$port" --dir local2
refuses "run --listen on an occupied port" 1 "127.0.0.1:$port is in use" \
    run --quiet --log error --listen "127.0.0.1:$port" --local local ok.lua
pipeline door.lua <<'END'
return { kpipe = 1, name = "door", leases = "file:door.lease", flows = { main = {
  k.source["apigw-proxy"] { listen = k.env("DOOR", "127.0.0.1:0") }, k.sink.null {} } } }
END
DOOR=127.0.0.1:$port
export DOOR
run door.lua
refused "a door on an occupied port" 1 "127.0.0.1:$port is in use"
is "the summary has the failure and the exit code" "$(sum exit_code) $(sum failure | grep -c "in use")" "1 1"
DOOR=192.0.2.1:0
run door.lua
refused "a door on an address of another machine" 1 "192.0.2.1:0 is not an address of this machine"

# ---- missing rights: below a file nobody may make anything, root included

: >file
refuses "a data directory that cannot be made" 1 "file/local: Not a directory" \
    run --quiet --log error --local file/local ok.lua
refuses "local with such a directory" 1 "file/local: Not a directory" local --port 0 --dir file/local
sed 's|"ok.lease"|"file/lease"|; s|file:ok.lease|file:file/lease|' ok.lua >bad.lua
run bad.lua
refused "a lease file that cannot be made" 1 "file/lease.lock: Not a directory"
sed 's|k.sink.null {}|k.sink.file { path = "file/out" }|' ok.lua >bad.lua
run bad.lua
refused "an output file that cannot be made" 1 "file/out for writing: Not a directory"
sed 's|k.source.list { records = { "a" } }|k.source.file { path = "nowhere.txt" }|' ok.lua >bad.lua
run bad.lua
refused "an input file that is not there" 1 "nowhere.txt"
if [ "$(id -u)" -ne 0 ]; then
    cp ok.lua secret.lua
    chmod 0 secret.lua
    kpipe run secret.lua
    is "a pipeline file that may not be read" "$code $(grep -c 'Permission denied' err)" "2 1"
elif command -v setpriv >/dev/null 2>&1 && [ -r "$KPIPE" ]; then
    cp ok.lua secret.lua
    chmod 600 secret.lua
    chmod 755 "$work"
    if setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$KPIPE"; then
        timeout "$LIMIT" setpriv --reuid 65534 --regid 65534 --clear-groups "$KPIPE" run secret.lua >out 2>err </dev/null
        is "a pipeline file that may not be read" "$? $(grep -c 'secret.lua: cannot be read: Permission denied' err)" "2 1"
        cp ok.lua open.lua
        chmod 644 open.lua
        timeout "$LIMIT" setpriv --reuid 65534 --regid 65534 --clear-groups "$KPIPE" run --quiet --log error open.lua >out 2>err </dev/null
        code=$?
        refused "a data directory where nothing may be made" 1 "Permission denied"
    else
        skip "the program cannot be run by another user here"
    fi
else
    skip "root may read everything, and there is no setpriv"
fi

# ---- credentials, region, endpoints

sed 's|leases = "file:ok.lease", ||; s|k.sink.null {}|k.sink.kinesis { stream = stream }|; s|^return|local stream = k.resource.stream { name = "s", shards = 1 }\nreturn|; s|flows =|resources = { stream }, flows =|' ok.lua >aws.lua
run --aws aws.lua
refused "--aws without a region" 2 "region"
AWS_REGION=eu-west-1
export AWS_REGION
run --aws aws.lua
yes "--aws without credentials: exit code 1 or 2" test "$code" = 1 -o "$code" = 2
refused "and one message that names them" "$code" "credentials"
AWS_ACCESS_KEY_ID=AKIDEXAMPLE
AWS_SECRET_ACCESS_KEY=none
AWS_ENDPOINT_URL=http://127.0.0.1:1
AWS_MAX_ATTEMPTS=2
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL AWS_MAX_ATTEMPTS
run --aws aws.lua
refused "--aws with a dead endpoint" 1 "127.0.0.1"
AWS_ENDPOINT_URL=nonsense
run --aws aws.lua
refused "--aws with an endpoint that is no URL" 2 "nonsense"
unset AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL AWS_MAX_ATTEMPTS

pipeline ask.lua <<'END'
return { kpipe = 1, name = "ask", leases = "file:ask.lease", flows = { main = {
  k.source.list { records = { '{"n":1}', '{"n":2}', '{"n":3}' } },
  k.transform["async-http-enrich"] { url = k.env("ASK", ""), into = "answer", timeout = "1s" },
  k.sink.file { path = "answers.txt" } } } }
END
ASK=http://127.0.0.1:1/
export ASK
run ask.lua --until time:1s --drain 1s
is "an endpoint that refuses: the drain time ends the run, exit code 4" "$code" 4
balance "and nothing is lost: all will be read again" main 3 0 0 0 3
is "nothing was delivered" "$(lines answers.txt)" 0
start server "$PYTHON" -c '
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "4"); self.end_headers(); self.wfile.write(b"true")
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()'
until_true 5 test -s server.out
ASK=http://127.0.0.1:$(cat server.out)/
run ask.lua
is "once it answers, the next run delivers all" "$code $(lines answers.txt)" "0 3"
finish
