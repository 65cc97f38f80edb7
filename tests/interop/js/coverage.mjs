/* coverage.mjs CALLS - every operation that is served has been called, with a good answer.
 *
 * CALLS is what lib.mjs wrote. operations.txt is the list; it must have every operation that
 * Amazon's model of Kinesis has, and every one in the tables of the services' own sources.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as kinesis from "@aws-sdk/client-kinesis";

const lines = (path) =>
    readFileSync(path, "utf8").split("\n").filter((line) => line && !line.startsWith("#"));

const listed = new Set(lines("operations.txt"));
const called = new Set(lines(process.argv[2]));
let n = 0;
let failed = 0;

function report(name, missing) {
    n++;
    failed += missing.length > 0;
    console.log(`${missing.length ? "not ok" : "ok"} ${n} - coverage: ${name}`);
    for (const line of missing) {
        console.log(`# ${line}`);
    }
}

/* Rows of tables such as {"PutItem", ddb_put_item}: a name, then a function. */
const ROW = /^\s*\{\s*"([A-Z][A-Za-z]+)",\s*[a-z]+(?:_[a-z]+)+[,}]/gm;

function inSources() {
    const root = join(process.env.INTEROP_ROOT, "plugins/local-aws");
    const found = new Set();

    for (const service of readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
        const files = readdirSync(join(root, service.name)).filter((name) => /(?<!_test)\.c$/.test(name));

        for (const file of files) {
            for (const [, name] of readFileSync(join(root, service.name, file), "utf8").matchAll(ROW)) {
                found.add(`${service.name} ${name}`);
            }
        }
    }
    return [...found];
}

const model = Object.keys(kinesis)
    .filter((name) => /^[A-Z].*Command$/.test(name))
    .map((name) => `kinesis ${name.slice(0, -"Command".length)}`);

report(`the ${model.length} operations of Kinesis are listed`, model.filter((line) => !listed.has(line)));

const sources = inSources();

report(
    `the ${sources.length} operations in the services' tables are listed`,
    sources.length > 90 ? sources.filter((line) => !listed.has(line)) : ["too few are found in the sources"],
);
report(`the ${listed.size} listed operations were called`, [...listed].filter((line) => !called.has(line)));
process.exit(failed ? 1 : 0);
