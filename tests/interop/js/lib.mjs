/* lib.mjs - a `kpipe local` of its own for each test file, and clients whose calls are noted.
 *
 * KPIPE names the program. INTEROP_CALLS is a file that gets a line "SERVICE OPERATION" for each
 * operation that a client has had a good answer for; coverage.mjs reads it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as later } from "node:timers/promises";

export const PROGRAM = process.env.KPIPE ?? "build/kpipe";
const noted = new Set();

export const ACCOUNT = "000000000000";
export const REGION = "us-east-1";

/* A test that may not take forever. */
export function check(name, run) {
    return test(name, { timeout: 60000 * Number(process.env.SLOW ?? 1) }, run);
}

/* A local AWS: `url` is where it listens. */
class Local {
    #options;
    #child = null;
    #ended;
    #said = "";
    #clients = [];

    constructor(options) {
        this.#options = options;
        this.dir = mkdtempSync(join(tmpdir(), "kpipe-interop-js."));
    }

    async start() {
        const child = spawn(
            PROGRAM,
            ["local", "--port", "0", "--dir", join(this.dir, "data"), "--verify-signatures", ...this.#options],
            { stdio: ["ignore", "pipe", "pipe"] },
        );

        this.#child = child;
        this.#ended = new Promise((done) => child.on("close", (code, signal) => done({ code, signal })));
        child.stderr.on("data", (data) => (this.#said += data));
        const lines = createInterface({ input: child.stdout });
        this.url = await new Promise((ready, failed) => {
            lines.once("line", (line) => ready(line.replace(/^ready /, "")));
            child.once("error", failed);
            child.once("close", () => failed(new Error(`${PROGRAM} local did not start: ${this.#said}`)));
        });
    }

    async #end(signal) {
        for (const client of this.#clients.splice(0)) {
            client.destroy();
        }
        this.#child.kill(signal);
        const { code } = await this.#ended;
        return code;
    }

    /* As a power cut of the process: nothing is said to it. Starts it again on the same folder. */
    async crash() {
        await this.#end("SIGKILL");
        await this.start();
    }

    async stop() {
        const code = await this.#end("SIGTERM");
        rmSync(this.dir, { recursive: true, force: true });
        assert.equal(code, 0, `it ended with ${code}: ${this.#said}`);
    }

    /* POSTs rules of faults, or {clock_ms} to move its clock. */
    async faults(rules) {
        const answer = await fetch(`${this.url}/_kpipe/faults`, { method: "POST", body: JSON.stringify(rules) });

        assert.equal(answer.status, 200, await answer.text());
    }

    async state() {
        return (await fetch(`${this.url}/_kpipe/state`)).json();
    }

    /* A client of CLASS; it is destroyed when the local AWS ends. */
    client(Class, options = {}) {
        const client = new Class({
            endpoint: this.url,
            region: REGION,
            credentials: { accessKeyId: "test", secretAccessKey: "test" },
            maxAttempts: 1,
            ...options,
        });

        client.middlewareStack?.add(
            (next, context) => async (args) => {
                const answer = await next(args);
                note(context.clientName, context.commandName);
                return answer;
            },
            { step: "initialize", name: "noteCalls", priority: "high" },
        );
        this.#clients.push(client);
        return client;
    }
}

function note(client, command) {
    const line = `${client.replace(/Client$/, "").toLowerCase()} ${command.replace(/Command$/, "")}\n`;

    if (process.env.INTEROP_CALLS && !noted.has(line)) {
        noted.add(line);
        appendFileSync(process.env.INTEROP_CALLS, line);
    }
}

/* Starts a local AWS. Its owner calls stop(). */
export async function startLocal(...options) {
    const local = new Local(options);

    try {
        await local.start();
    } catch (error) {
        rmSync(local.dir, { recursive: true, force: true });
        throw error;
    }
    return local;
}

/* The call must be refused with an error of that class (or name), whose text matches. Gives the error. */
export async function refused(call, kind, text = undefined) {
    let error;

    try {
        await call;
    } catch (e) {
        error = e;
    }
    assert.ok(error, "it was accepted");
    if (typeof kind === "string") {
        assert.equal(error.name, kind, String(error.stack));
    } else {
        assert.ok(error instanceof kind, `${error.stack}\nis not a ${kind.name}`);
    }
    if (text instanceof RegExp) {
        assert.match(error.message, text);
    } else if (text !== undefined) {
        assert.equal(error.message, text);
    }
    return error;
}

/* Asks until `probe` gives something; for states that are reached a moment later. */
export async function until(probe, what = "it", ms = 10000) {
    for (const end = Date.now() + ms; ; ) {
        const found = await probe();

        if (found) {
            return found;
        }
        assert.ok(Date.now() < end, `${what}: still not so after ${ms} ms`);
        await later(10);
    }
}

export const bytes = (text) => Buffer.from(text);
export const text = (data) => Buffer.from(data).toString();
