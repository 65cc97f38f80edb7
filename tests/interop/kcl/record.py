#!/usr/bin/env python3
"""Stands between a KCL worker and DynamoDB and notes what it does to the table: tests/vectors/kcl.

    record.py URL OUT

Prints the URL to give to the worker. Each line of OUT is a JSON object: operation, request, status, error, and
for a write of one item `before` and `after`, the item as it stood. Requests pass one at a time.
"""

import http.client
import http.server
import json
import sys
import threading
import urllib.parse

import aws

lock = threading.Lock()
WRITES = ('PutItem', 'UpdateItem', 'DeleteItem')
QUIET = ('Scan', 'Query', 'GetItem', 'DescribeTable')


def item(side, request):
    key = request.get('Key') or {name: request['Item'][name] for name in ('leaseKey', 'key', 'wid') if name in request['Item']}
    return side.dynamodb('GetItem', TableName=request['TableName'], Key=key, ConsistentRead=True).get('Item')


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    upstream = None
    out = None
    seen = set()

    def log_message(self, *_):
        pass

    def note(self, line):
        quiet = json.dumps([line['operation'], sorted(line['request'])])
        if line['operation'] in QUIET and line['status'] == 200:
            if quiet in self.seen:
                return
            self.seen.add(quiet)
        self.out.write(json.dumps(line, sort_keys=True) + '\n')
        self.out.flush()

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        operation = self.headers['X-Amz-Target'].rpartition('.')[2]
        request = json.loads(body)
        with lock:
            side = aws.Aws(self.upstream)
            line = {'operation': operation, 'request': request}
            if operation in WRITES:
                line['before'] = item(side, request)
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.upstream).netloc)
            connection.request('POST', self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            text = answer.read()
            line['status'] = answer.status
            if answer.status != 200:
                line['error'] = json.loads(text)
            elif operation in WRITES:
                line['after'] = item(side, request)
            self.note(line)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ('connection', 'content-length', 'transfer-encoding'):
                self.send_header(name, value)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == '__main__':
    Recorder.upstream = sys.argv[1]
    Recorder.out = open(sys.argv[2], 'a', encoding='utf-8')
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Recorder)
    print(f'http://127.0.0.1:{server.server_port}', flush=True)
    server.serve_forever()
