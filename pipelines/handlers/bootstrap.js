#!/usr/bin/env node
// bootstrap.js - runs a JavaScript handler for kpipe's lambda-shim; no packages needed.
//
//     command = { "node", "handlers/bootstrap.js", "orders.handler" }
//
// The last argument (or _HANDLER) is MODULE.FUNCTION, looked up from LAMBDA_TASK_ROOT: .js, .mjs and
// .cjs, then node's own resolution. Speaks the Lambda Runtime API at AWS_LAMBDA_RUNTIME_API. Handlers
// return a promise or a value, or take a callback as their third argument.
"use strict";

const http = require("http");
const path = require("path");
const fs = require("fs");
const { pathToFileURL } = require("url");

const API = "/2018-06-01/runtime";
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, where, body, headers) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path: API + where, agent, headers }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts) }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function problem(kind, message) {
  const error = new Error(message);
  error.name = kind;
  return error;
}

function errorText(error) {
  const isError = error instanceof Error;
  return JSON.stringify({
    errorType: isError ? error.name : typeof error,
    errorMessage: isError ? error.message : String(error),
    trace: isError && error.stack ? error.stack.split("\n") : [],
  });
}

async function loadModule(base) {
  const root = process.env.LAMBDA_TASK_ROOT || ".";
  const full = path.resolve(root, base);
  for (const file of [full, full + ".js", full + ".mjs", full + ".cjs"]) {
    if (!fs.existsSync(file) || fs.statSync(file).isDirectory()) continue;
    if (file.endsWith(".cjs")) return require(file);
    return import(pathToFileURL(file).href);
  }
  return require(require.resolve(base, { paths: [root] }));
}

async function load(name) {
  if (name.includes("..")) throw problem("Runtime.MalformedHandlerName", `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  const folder = path.dirname(name);
  const [, file, names] = path.basename(name).match(/^([^.]*)\.(.+)$/) || [];
  if (!file) throw problem("Runtime.MalformedHandlerName", "Bad handler");
  let module;
  try {
    module = await loadModule(path.join(folder, file));
  } catch (error) {
    if (error instanceof SyntaxError) throw problem("Runtime.UserCodeSyntaxError", error.stack);
    if (error.code === "MODULE_NOT_FOUND") throw problem("Runtime.ImportModuleError", error.message);
    throw error;
  }
  const find = (from) => names.split(".").reduce((at, key) => at && at[key], from);
  const handler = find(module) || find(module.default);
  if (typeof handler !== "function") throw problem("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  return handler;
}

function contextOf(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function run(handler, event, context) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => (error ? reject(error) : resolve(result));
    context.succeed = resolve;
    context.fail = reject;
    context.done = callback;
    const result = handler(event, context, callback);
    if (result && typeof result.then === "function") result.then(resolve, reject);
    else if (handler.length < 3) resolve(result);
  });
}

async function serve(handler) {
  for (;;) {
    const next = await call("GET", "/invocation/next");
    const where = `/invocation/${next.headers["lambda-runtime-aws-request-id"]}`;
    process.env._X_AMZN_TRACE_ID = next.headers["lambda-runtime-trace-id"] || "";
    try {
      const result = await run(handler, JSON.parse(next.body.toString()), contextOf(next.headers));
      const text = JSON.stringify(result === undefined ? null : result);
      await call("POST", `${where}/response`, text, { "Content-Type": "application/json" });
    } catch (error) {
      await call("POST", `${where}/error`, errorText(error), {
        "Content-Type": "application/json",
        "Lambda-Runtime-Function-Error-Type": error instanceof Error ? error.name : "Unhandled",
      });
    }
  }
}

load(process.argv[2] || process.env._HANDLER)
  .then(serve, async (error) => {
    process.stderr.write(errorText(error) + "\n");
    await call("POST", "/init/error", errorText(error), { "Lambda-Runtime-Function-Error-Type": error.name });
    process.exit(1);
  })
  .catch((error) => {
    process.stderr.write(String(error && error.stack) + "\n");
    process.exit(129);
  });
