"""Calls of Kinesis and DynamoDB at a local AWS, signed, with Python's own library alone."""

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import urllib.parse

REGION = 'us-east-1'
TARGETS = {'kinesis': 'Kinesis_20131202', 'dynamodb': 'DynamoDB_20120810'}


class Refused(Exception):
    def __init__(self, status, answer):
        self.code = str(answer.get('__type', status)).rpartition('#')[2]
        super().__init__(f'{self.code}: {answer.get("message", answer.get("Message", ""))}')


def hashed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(host, service, target, body, now):
    """The headers of one POST, SigV4, with the local AWS's key pair."""
    day = now[:8]
    scope = f'{day}/{REGION}/{service}/aws4_request'
    kind = 'application/x-amz-json-1.' + ('1' if service == 'kinesis' else '0')
    headers = {'content-type': kind, 'host': host, 'x-amz-date': now, 'x-amz-target': target}
    names = ';'.join(sorted(headers))
    lines = ''.join(f'{name}:{headers[name]}\n' for name in sorted(headers))
    request = f'POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}'
    to_sign = f'AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}'
    key = b'AWS4test'
    for part in (day, REGION, service, 'aws4_request'):
        key = hashed(key, part)
    headers['authorization'] = (f'AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, '
                                f'Signature={hashed(key, to_sign).hex()}')
    return headers


class Aws:
    """One connection; for one thread."""

    def __init__(self, url):
        self.host = urllib.parse.urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.host, timeout=60)

    def call(self, service, operation, **members):
        body = json.dumps(members).encode()
        target = f'{TARGETS[service]}.{operation}'
        now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
        self.connection.request('POST', '/', body, signature(self.host, service, target, body, now))
        answer = self.connection.getresponse()
        text = answer.read()
        got = json.loads(text) if text else {}
        if answer.status != 200:
            raise Refused(answer.status, got)
        return got

    def kinesis(self, operation, **members):
        return self.call('kinesis', operation, **members)

    def dynamodb(self, operation, **members):
        return self.call('dynamodb', operation, **members)

    def scan(self, table):
        """All items as DynamoDB has them; none while there is no such table."""
        try:
            return self.dynamodb('Scan', TableName=table, ConsistentRead=True)['Items']
        except Refused as error:
            if error.code == 'ResourceNotFoundException':
                return []
            raise

    def put(self, stream, records):
        """Writes (key, text, hash key or None) in order; answers the shards."""
        entries = []
        for key, text, place in records:
            entry = {'PartitionKey': key, 'Data': base64.b64encode(text.encode()).decode()}
            if place is not None:
                entry['ExplicitHashKey'] = str(place)
            entries.append(entry)
        answer = self.kinesis('PutRecords', StreamName=stream, Records=entries)
        if answer['FailedRecordCount']:
            raise Refused(200, {'__type': 'Partial', 'message': json.dumps(answer)[:300]})
        return [(record['ShardId'], record['SequenceNumber']) for record in answer['Records']]

    def shards(self, stream):
        return self.kinesis('ListShards', StreamName=stream)['Shards']


def flat(item):
    """An item of DynamoDB as plain values: sets become sorted lists."""
    plain = {}
    for name, value in item.items():
        (kind, inner), = value.items()
        plain[name] = int(inner) if kind == 'N' and inner.lstrip('-').isdigit() else sorted(inner) if kind == 'SS' else inner
    return plain
