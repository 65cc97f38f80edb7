/* faults.test.mjs - faults on demand as clients feel them: their own retries get over them. */
import assert from "node:assert/strict";
import { after, before, beforeEach } from "node:test";
import * as dynamodb from "@aws-sdk/client-dynamodb";
import * as sdk from "@aws-sdk/client-kinesis";
import { S3 } from "@aws-sdk/client-s3";
import { SQS } from "@aws-sdk/client-sqs";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { create, read } from "./kinesis.mjs";
import { bytes, check, refused, startLocal, text } from "./lib.mjs";

const SHARD = "shardId-000000000000";

let local;
let kinesis;
let patient; /* a client that tries again, over HTTP/1.1 */

before(async () => {
    local = await startLocal("--no-limits");
    kinesis = local.client(sdk.Kinesis);
    patient = local.client(sdk.Kinesis, { maxAttempts: 4, requestHandler: new NodeHttpHandler() });
    await create(kinesis, "trips");
});
beforeEach(() => fetch(`${local.url}/_kpipe/faults`, { method: "DELETE" }));
after(() => local.stop());

const put = (client, data) =>
    client.putRecord({ StreamName: "trips", Data: bytes(data), PartitionKey: "k" });

async function count(data) {
    const { records } = await read(kinesis, "trips", SHARD);

    return records.filter((record) => text(record.Data) === data).length;
}

check("faults: an error that was asked for comes as often as it was asked for", async () => {
    const rule = { service: "kinesis", operation: "PutRecord", fault: "error", status: 500, code: "InternalFailure", count: 2 };

    await local.faults(rule);

    const error = await refused(put(kinesis, "no"), "InternalFailure");

    assert.equal(error.$metadata.httpStatusCode, 500);
    await refused(put(kinesis, "no"), "InternalFailure");
    await put(kinesis, "yes");
    await local.faults(rule);

    const answer = await put(patient, "again");

    assert.equal(answer.$metadata.attempts, 3);
    assert.equal(await count("no"), 0);
    assert.equal(await count("again"), 1);
});

check("faults: connections are reset before, within and after the work", async () => {
    for (const [fault, stored] of [["reset_before", 1], ["reset_within", 2], ["reset_after", 2]]) {
        await local.faults({ service: "kinesis", operation: "PutRecord", fault, count: 1 });

        const answer = await put(patient, fault);

        assert.equal(answer.$metadata.attempts, 2, fault);
        assert.equal(await count(fault), stored, fault);
    }
});

check("faults: over HTTP/2 a reset ends the call, and what was done is done", async () => {
    for (const [fault, stored] of [["reset_before", 0], ["reset_within", 1], ["reset_after", 1]]) {
        await local.faults({ service: "kinesis", operation: "PutRecord", fault, count: 1 });
        await assert.rejects(put(kinesis, `2 ${fault}`), fault);
        assert.equal(await count(`2 ${fault}`), stored, fault);
    }
});

check("faults: throttling is each service's own, and clients wait and try again", async () => {
    await local.faults({ operation: "*", fault: "throttle", count: 1 });
    await refused(put(kinesis, "throttled"), sdk.ProvisionedThroughputExceededException);
    await local.faults({ operation: "*", fault: "throttle", count: 1 });
    await refused(
        local.client(dynamodb.DynamoDB).getItem({ TableName: "none", Key: { k: { S: "" } } }),
        dynamodb.ProvisionedThroughputExceededException,
    );
    await local.faults({ operation: "*", fault: "throttle", count: 1 });
    await refused(local.client(S3, { forcePathStyle: true }).listBuckets({}), "SlowDown");
    await local.faults({ operation: "*", fault: "throttle", count: 2 });
    assert.equal((await local.client(SQS, { maxAttempts: 4 }).listQueues({})).$metadata.attempts, 3);
});

check("faults: some records of a batch fail", async () => {
    const Records = Array.from({ length: 100 }, (_, i) => ({ Data: bytes(`part ${i}`), PartitionKey: "k" }));

    await local.faults({ service: "kinesis", operation: "PutRecords", fault: "partial", share: 0.3, count: 1, seed: 7 });

    const answer = await kinesis.putRecords({ StreamName: "trips", Records });
    const failed = answer.Records.filter((record) => record.ErrorCode);

    assert.ok(failed.length > 0 && failed.length < 100, `${failed.length} failed`);
    assert.equal(answer.FailedRecordCount, failed.length);

    const { records } = await read(kinesis, "trips", SHARD);

    assert.equal(records.filter((r) => text(r.Data).startsWith("part ")).length, 100 - failed.length);
});

check("faults: an answer comes late", async () => {
    await local.faults({ service: "kinesis", operation: "ListStreams", latency_ms: 300, count: 1 });

    const start = Date.now();

    await kinesis.listStreams({});
    assert.ok(Date.now() - start >= 300);
});

check("faults: the state tells what was asked, and what went wrong", async () => {
    const before = (await local.state()).services.kinesis.operations.PutRecord;

    await put(kinesis, "counted");
    await local.faults({ service: "kinesis", operation: "PutRecord", fault: "error", count: 1 });
    await assert.rejects(put(kinesis, "counted"));

    const after = (await local.state()).services.kinesis.operations.PutRecord;

    assert.deepEqual(
        [after.requests - before.requests, after.errors - before.errors],
        [2, 1],
    );
});
