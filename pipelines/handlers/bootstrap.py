#!/usr/bin/env python3
"""bootstrap.py - runs a Python handler for kpipe's lambda-shim; standard library only.

    command = { "python3", "handlers/bootstrap.py", "orders.handler" }

The last argument (or _HANDLER) is MODULE.FUNCTION, looked up from LAMBDA_TASK_ROOT. Speaks the
Lambda Runtime API at AWS_LAMBDA_RUNTIME_API: asks for an event, calls the function with (event,
context), posts what it returns; what it raises is posted as the function's error.
"""
import http.client
import importlib
import json
import os
import sys
import time
import traceback

API = "/2018-06-01/runtime"


class Context:
    """What a handler may know about the call."""

    def __init__(self, headers):
        self.aws_request_id = headers.get("Lambda-Runtime-Aws-Request-Id", "")
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn", "")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self.identity = None
        self.client_context = None
        self.tenant_id = None
        self._deadline_ms = int(headers.get("Lambda-Runtime-Deadline-Ms", "0"))

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)


class Problem(Exception):
    """An error with a name of the runtime's own."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Api:
    """One kept connection to the Runtime API."""

    def __init__(self, address):
        host, _, port = address.partition(":")
        self.connection = http.client.HTTPConnection(host, int(port))  # no time limit: next waits

    def call(self, method, path, body=None, headers=None):
        self.connection.request(method, API + path, body, headers or {})
        response = self.connection.getresponse()
        return response.status, response.headers, response.read()


def error_of(error, with_trace=True):
    kind = error.kind if isinstance(error, Problem) else type(error).__name__
    trace = traceback.format_tb(error.__traceback__) if with_trace else []
    return kind, json.dumps(
        {"errorMessage": str(error), "errorType": kind, "stackTrace": trace}
    ).encode()


def load(name):
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise Problem(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
        )
    module_name = module_name.replace("/", ".")
    sys.path.insert(0, os.environ.get("LAMBDA_TASK_ROOT", "."))
    if module_name in sys.builtin_module_names:
        raise Problem(
            "Runtime.ImportModuleError",
            f"Cannot use built-in module {module_name} as a handler module",
        )
    try:
        module = importlib.import_module(module_name)
    except SyntaxError as error:
        raise Problem(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}"
        ) from error
    except ImportError as error:
        raise Problem(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise Problem(
            "Runtime.HandlerNotFound",
            f"Handler '{function_name}' missing on module '{module_name}'",
        )
    return function


def run(function, headers, body):
    """Calls the function; returns (content type, bytes)."""
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
    try:
        event = json.loads(body)
    except ValueError as error:
        raise Problem("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error
    result = function(event, Context(headers))
    if isinstance(result, bytes):
        return "application/unknown", result
    try:
        return "application/json", json.dumps(result, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise Problem(
            "Runtime.MarshalError", f"Unable to marshal response: {error}"
        ) from error


def serve(api, function):
    while True:
        _, headers, body = api.call("GET", "/invocation/next")
        path = f"/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}"
        try:
            content_type, answer = run(function, headers, body)
            api.call("POST", f"{path}/response", answer, {"Content-Type": content_type})
        except Exception as error:  # whatever the handler raises belongs to the caller
            kind, text = error_of(error)
            api.call(
                "POST",
                f"{path}/error",
                text,
                {
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Function-Error-Type": kind,
                },
            )
        sys.stdout.flush()


def main():
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    name = sys.argv[1] if len(sys.argv) > 1 else os.environ["_HANDLER"]
    try:
        function = load(name)
    except Exception as error:
        kind, text = error_of(error, with_trace=not isinstance(error, Problem))
        print(text.decode(), file=sys.stderr)
        api.call("POST", "/init/error", text, {"Lambda-Runtime-Function-Error-Type": kind})
        sys.exit(1)
    serve(api, function)


if __name__ == "__main__":
    main()
