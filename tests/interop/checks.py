"""checks.py - what the sdk*.py share: clients, checks and their results.

Each of them is called with URL and "first" or "again"; a check prints "ok N - ..." or "not ok N - ...".
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL = sys.argv[1]
CONFIG = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
checks = []
results = {"n": 0, "failed": 0}


def client(service):
    return boto3.client(service, endpoint_url=URL, config=CONFIG)


def check(phase):
    """The function is run in that phase; its doc string is what it checks."""

    def add(fn):
        checks.append((phase, fn))
        return fn

    return add


def refused(code, call, **arguments):
    """The call must be refused with that error code. Gives the answer."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response
    raise AssertionError("it was accepted")


def run(fn):
    results["n"] += 1
    text = fn.__doc__
    try:
        fn()
        print("ok %d - %s" % (results["n"], text), flush=True)
    except Exception as error:  # a check reports whatever went wrong
        results["failed"] += 1
        print("not ok %d - %s" % (results["n"], text), flush=True)
        for line in repr(error).splitlines():
            print("# " + line, flush=True)


def main():
    for phase, fn in checks:
        if phase == sys.argv[2]:
            run(fn)
    print("1..%d" % results["n"], flush=True)
    return 1 if results["failed"] else 0
