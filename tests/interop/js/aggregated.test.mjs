/* aggregated.test.mjs - records packed with aws-kinesis-agg go through the local AWS unharmed, and
 * kpipe's own source and sink read and write the same aggregates.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import agg from "aws-kinesis-agg";
import { create, read, shardsOf } from "./kinesis.mjs";
import { PROGRAM, check, startLocal } from "./lib.mjs";

let local;
let kinesis;

before(async () => {
    local = await startLocal("--no-limits");
    kinesis = local.client(sdk.Kinesis);
});
after(() => local.stop());

/* The user records of one Kinesis record. */
function unpack(record) {
    let found;

    agg.deaggregateSync(
        { ...record, Data: Buffer.from(record.Data).toString("base64") },
        true,
        (error, userRecords) => {
            assert.equal(error ?? null, null);
            found = userRecords;
        },
    );
    return found;
}

/* Aggregates of about 1 MB, as PutRecord wants them. */
function pack(users) {
    const packed = [];
    const aggregator = new agg.RecordAggregator((error, record) => {
        assert.equal(error ?? null, null);
        packed.push(record);
    });

    aggregator.aggregateRecords(users, true);
    return packed;
}

/* All records of a stream, shard after shard. */
async function readAll(stream) {
    const records = [];

    for (const { ShardId } of await shardsOf(kinesis, stream)) {
        records.push(...(await read(kinesis, stream, ShardId)).records);
    }
    return records;
}

/* Runs aggregates.lua on the local AWS. */
function run(end, ...settings) {
    const args = settings.flatMap((setting) => ["--set", setting]);

    return new Promise((done, failed) => {
        execFile(
            PROGRAM,
            ["run", "aggregates.lua", "--aws", "--until", end, "--quiet", "--checkpoint", "1s", ...args],
            { env: { ...process.env, AWS_ENDPOINT_URL: local.url } },
            (error, out, err) => (error ? failed(new Error(`${error.message}\n${out}${err}`)) : done(err)),
        );
    });
}

check("aws-kinesis-agg: 5,000 user records in a few Kinesis records come back in order", async () => {
    const users = Array.from({ length: 5000 }, (_, i) => ({
        partitionKey: `vehicle ${i % 7}`,
        data: Buffer.from(`${i} ${"x".repeat(i % 600)}`),
    }));
    const packed = pack(users);

    assert.ok(packed.length > 1 && packed.length < 10, `${packed.length} Kinesis records`);
    await create(kinesis, "packed", 1);
    for (const record of packed) {
        await kinesis.putRecord({
            StreamName: "packed",
            Data: record.data,
            PartitionKey: record.partitionKey,
            ExplicitHashKey: record.ExplicitHashKey,
        });
    }

    const { records } = await read(kinesis, "packed", (await shardsOf(kinesis, "packed"))[0].ShardId);
    const found = records.flatMap(unpack);

    assert.equal(records.length, packed.length);
    assert.equal(found.length, users.length);
    for (const [i, user] of found.entries()) {
        assert.equal(user.PartitionKey, users[i].partitionKey);
        assert.deepEqual(Buffer.from(user.Data, "base64"), users[i].data);
    }
    assert.equal(found[1].SubSequenceNumber, 1);
});

check("aws-kinesis-agg: a record that is not packed is one user record", async () => {
    await create(kinesis, "plain", 1);
    await kinesis.putRecord({ StreamName: "plain", Data: Buffer.from("as it is"), PartitionKey: "k" });

    const { records } = await read(kinesis, "plain", (await shardsOf(kinesis, "plain"))[0].ShardId);
    const [user, ...more] = unpack(records[0]);

    assert.deepEqual(more, []);
    assert.equal(user.PartitionKey, "k");
    assert.equal(Buffer.from(user.Data, "base64").toString(), "as it is");
    assert.equal(user.SubSequenceNumber, undefined);
});

check("aws-kinesis-agg: what kpipe aggregates is taken apart by it", async () => {
    const file = join(local.dir, "lines");
    const lines = Array.from({ length: 3000 }, (_, i) =>
        JSON.stringify({ vehicle: `v${i % 11}`, i, text: "ü".repeat(i % 50) }),
    );

    writeFileSync(file, `${lines.join("\n")}\n`);
    await create(kinesis, "written", 2);
    await run("end", "Way=write", `File=${file}`, "Stream=written");

    const records = await readAll("written");
    const users = records.flatMap(unpack);

    /* Until the sink knows the shards, records go as they are. */
    assert.ok(records.some((record) => unpack(record).length > 100), "there is an aggregate");
    assert.ok(records.length < 2000, `${records.length} Kinesis records`);
    assert.deepEqual(
        users.map((user) => Buffer.from(user.Data, "base64").toString()).sort(),
        [...lines].sort(),
    );

    const last = new Map();

    for (const user of users) {
        const { vehicle, i } = JSON.parse(Buffer.from(user.Data, "base64"));

        assert.equal(user.PartitionKey, vehicle);
        assert.ok(i > (last.get(vehicle) ?? -1), `${vehicle} is out of order at ${i}`);
        last.set(vehicle, i);
    }
});

check("aws-kinesis-agg: what it aggregates is taken apart by kpipe", async () => {
    const file = join(local.dir, "collected");
    const shards = [];
    const users = Array.from({ length: 3000 }, (_, i) => ({
        partitionKey: `v${i % 11}`,
        explicitHashKey: i < 1500 ? "1" : `${(1n << 128n) - 1n}`,
        data: Buffer.from(`${i} ${"y".repeat(i % 900)}`),
    }));

    await create(kinesis, "packed-for-kpipe", 2);
    for (const half of [users.slice(0, 1500), users.slice(1500)]) {
        for (const record of pack(half)) {
            const put = await kinesis.putRecord({
                StreamName: "packed-for-kpipe",
                Data: record.data,
                PartitionKey: record.partitionKey,
                ExplicitHashKey: record.ExplicitHashKey,
            });

            shards.push(put.ShardId);
        }
    }
    assert.deepEqual([...new Set(shards)], ["shardId-000000000000", "shardId-000000000001"]);
    await run("records:3000", "Way=read", `File=${file}`, "Stream=packed-for-kpipe");

    const found = readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
    const wanted = users.map((user) => `${user.partitionKey} ${user.data}`);

    assert.deepEqual(found.map((record) => `${record.key} ${record.data}`).sort(), wanted.sort());
    for (const lane of ["shardId-000000000000", "shardId-000000000001"]) {
        const order = found.filter((record) => record.lane === lane).map((record) => Number.parseInt(record.data, 10));

        assert.equal(order.length, 1500);
        assert.deepEqual(order, [...order].sort((a, b) => a - b));
    }
});
