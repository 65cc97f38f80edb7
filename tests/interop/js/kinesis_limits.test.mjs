/* kinesis_limits.test.mjs - the limits of shards and calls, which the other tests lift, and what
 * time does.
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import { active, arnOf, create, iterator, read, take } from "./kinesis.mjs";
import { ACCOUNT, bytes, check, refused, startLocal, text, until } from "./lib.mjs";

const SHARD = "shardId-000000000000";

let local;
let kinesis;

before(async () => {
    local = await startLocal();
    kinesis = local.client(sdk.Kinesis);
});
after(() => local.stop());

const rateExceeded = (stream) => `Rate exceeded for shard ${SHARD} in stream ${stream} under account ${ACCOUNT}.`;

check("kinesis, limits: a shard takes 1 MiB a second, and each record is told", async () => {
    const Records = Array.from({ length: 100 }, (_, i) => ({
        Data: Buffer.alloc(20000, `${i}.`),
        PartitionKey: "k",
    }));

    await create(kinesis, "bytes");

    const put = await kinesis.putRecords({ StreamName: "bytes", Records });
    const failed = put.Records.filter((r) => r.ErrorCode);

    assert.equal(put.FailedRecordCount, failed.length);
    assert.ok(failed.length >= 30 && failed.length <= 60, `${failed.length} failed`);
    for (const record of failed) {
        assert.equal(record.ErrorCode, "ProvisionedThroughputExceededException");
        assert.equal(record.ErrorMessage, rateExceeded("bytes"));
        assert.equal(record.SequenceNumber, undefined);
    }

    const { records } = await read(kinesis, "bytes", SHARD);

    assert.deepEqual(
        records.map((r) => r.SequenceNumber),
        put.Records.flatMap((r) => r.SequenceNumber ?? []),
    );
    await refused(
        kinesis.putRecord({ StreamName: "bytes", Data: Buffer.alloc(1000000), PartitionKey: "k" }),
        sdk.ProvisionedThroughputExceededException,
        rateExceeded("bytes"),
    );
});

check("kinesis, limits: a shard takes 1,000 records a second", async () => {
    const Records = Array.from({ length: 500 }, () => ({ Data: bytes("x"), PartitionKey: "k" }));

    await create(kinesis, "records");

    const puts = await Promise.all([1, 2, 3, 4].map(() => kinesis.putRecords({ StreamName: "records", Records })));
    const failed = puts.reduce((sum, put) => sum + put.FailedRecordCount, 0);

    assert.ok(failed >= 500, `${failed} failed`);
});

check("kinesis, limits: a shard is read five times a second", async () => {
    await create(kinesis, "reads");

    const ShardIterator = await iterator(kinesis, "reads", SHARD, "TRIM_HORIZON");
    const reads = await Promise.allSettled(Array.from({ length: 12 }, () => kinesis.getRecords({ ShardIterator })));
    const failed = reads.filter((r) => r.status === "rejected");

    assert.ok(failed.length >= 2 && failed.length <= 7, `${failed.length} failed`);
    for (const { reason } of failed) {
        assert.ok(reason instanceof sdk.ProvisionedThroughputExceededException, String(reason));
        assert.equal(reason.message, rateExceeded("reads"));
    }
});

check("kinesis, limits: calls about streams are counted too", async () => {
    const calls = await Promise.allSettled(Array.from({ length: 10 }, () => kinesis.describeLimits({})));
    const failed = calls.filter((c) => c.status === "rejected");

    assert.ok(failed.length > 0, "all were answered");
    for (const { reason } of failed) {
        assert.ok(reason instanceof sdk.LimitExceededException, String(reason));
        assert.match(reason.message, /^Rate exceeded/);
    }
});

check("kinesis, limits: an iterator is good for five minutes", async () => {
    await create(kinesis, "iterators");

    const ShardIterator = await iterator(kinesis, "iterators", SHARD, "TRIM_HORIZON");

    await local.faults({ clock_ms: 299000 });
    await kinesis.getRecords({ ShardIterator });
    await local.faults({ clock_ms: 301000 });
    await refused(
        kinesis.getRecords({ ShardIterator }),
        sdk.ExpiredIteratorException,
        /^Iterator expired\. The iterator was created at time .* which is further in the future than the tolerated delay of 300000 milliseconds\./,
    );
    await local.faults({ clock_ms: 0 });
});

check("kinesis, limits: a second subscription takes over after five seconds", async () => {
    await create(kinesis, "taken");

    const { Consumer } = await kinesis.registerStreamConsumer({ StreamARN: arnOf("taken"), ConsumerName: "one" });
    const subscribe = () =>
        kinesis.subscribeToShard({
            ConsumerARN: Consumer.ConsumerARN,
            ShardId: SHARD,
            StartingPosition: { Type: "TRIM_HORIZON" },
        });

    await until(async () => {
        const { ConsumerDescription } = await kinesis.describeStreamConsumer({ ConsumerARN: Consumer.ConsumerARN });

        return ConsumerDescription.ConsumerStatus === "ACTIVE";
    });

    const first = await subscribe();

    await refused(subscribe(), sdk.LimitExceededException, /^Rate exceeded/);
    await local.faults({ clock_ms: 2000 });
    await refused(subscribe(), sdk.ResourceInUseException);
    await local.faults({ clock_ms: 6000 });

    const second = await subscribe();

    await kinesis.putRecord({ StreamName: "taken", Data: bytes("for the second"), PartitionKey: "k" });

    const { records } = await take(second, (all) => all.length === 1);

    assert.equal(text(records[0].Data), "for the second");

    /* The first ends, cleanly or with ResourceInUseException, and has nothing. */
    const late = [];

    try {
        for await (const { SubscribeToShardEvent: event } of first.EventStream) {
            late.push(...(event?.Records ?? []));
        }
    } catch (error) {
        assert.ok(error instanceof sdk.ResourceInUseException, String(error));
    }
    assert.deepEqual(late, []);
    await local.faults({ clock_ms: 0 });
});

check("kinesis, limits: a subscription ends after five minutes", async () => {
    await create(kinesis, "minutes");

    const { Consumer } = await kinesis.registerStreamConsumer({ StreamARN: arnOf("minutes"), ConsumerName: "one" });

    await until(async () => {
        const { Consumers } = await kinesis.listStreamConsumers({ StreamARN: arnOf("minutes") });

        return Consumers[0].ConsumerStatus === "ACTIVE";
    });

    const subscription = await kinesis.subscribeToShard({
        ConsumerARN: Consumer.ConsumerARN,
        ShardId: SHARD,
        StartingPosition: { Type: "LATEST" },
    });
    let jumped = false;

    await take(subscription, () => {
        if (!jumped) {
            jumped = true;
            local.faults({ clock_ms: 301000 });
        }
        return false; /* to the end of the stream */
    });
    assert.ok(jumped, "there was an event");
    await local.faults({ clock_ms: 0 });
    await active(kinesis, "minutes");
});
