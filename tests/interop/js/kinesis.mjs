/* kinesis.mjs - Kinesis Data Streams as the AWS SDK for JavaScript sees it: every operation. The
 * tests are the same over HTTP/2, which is that client's own choice, and over HTTP/1.1.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before } from "node:test";
import * as sdk from "@aws-sdk/client-kinesis";
import { ACCOUNT, REGION, bytes, check, refused, startLocal, text, until } from "./lib.mjs";

const WHOLE = 1n << 128n;

export const arnOf = (name) => `arn:aws:kinesis:${REGION}:${ACCOUNT}:stream/${name}`;
const hashOf = (key) => BigInt(`0x${createHash("md5").update(key).digest("hex")}`);
const dataOf = (records) => records.map((record) => text(record.Data));

const shardOf = (shards, hash) =>
    shards.find(
        ({ HashKeyRange: range, SequenceNumberRange: life }) =>
            !life.EndingSequenceNumber &&
            BigInt(range.StartingHashKey) <= hash &&
            hash <= BigInt(range.EndingHashKey),
    ).ShardId;

export async function summary(kinesis, StreamName) {
    const answer = await kinesis.describeStreamSummary({ StreamName });

    return answer.StreamDescriptionSummary;
}

export function active(kinesis, name) {
    return until(async () => {
        const found = await summary(kinesis, name);

        return found.StreamStatus === "ACTIVE" && found;
    }, `${name} is ACTIVE`);
}

export async function create(kinesis, StreamName, ShardCount = 1, more = {}) {
    await kinesis.createStream({ StreamName, ShardCount, ...more });
    return active(kinesis, StreamName);
}

export async function shardsOf(kinesis, StreamName) {
    const answer = await kinesis.listShards({ StreamName });

    return answer.Shards;
}

const isOpen = (shard) => !shard.SequenceNumberRange.EndingSequenceNumber;

export async function iterator(kinesis, StreamName, ShardId, type, more = {}) {
    const answer = await kinesis.getShardIterator({
        StreamName,
        ShardId,
        ShardIteratorType: type,
        ...more,
    });

    return answer.ShardIterator;
}

/* What a shard has from there on; `end` is the answer that came last. */
export async function read(kinesis, StreamName, ShardId, type = "TRIM_HORIZON", more = {}) {
    const records = [];

    for (let at = await iterator(kinesis, StreamName, ShardId, type, more); ; ) {
        const end = await kinesis.getRecords({ ShardIterator: at });

        records.push(...end.Records);
        at = end.NextShardIterator;
        if (!at || (end.Records.length === 0 && end.MillisBehindLatest === 0)) {
            return { records, end };
        }
    }
}

/* Takes events of a subscription until `enough` says so of all records that came. */
export async function take(subscription, enough) {
    const events = [];
    const records = [];

    for await (const { SubscribeToShardEvent: event, ...other } of subscription.EventStream) {
        assert.ok(event, `an event of another kind: ${JSON.stringify(other)}`);
        events.push(event);
        records.push(...event.Records);
        if (await enough(records, event)) {
            break;
        }
    }
    return { events, records };
}

export function kinesisTests(way, options = () => ({})) {
    let local;
    let kinesis;

    const say = (name, run) => check(`kinesis, ${way}: ${name}`, run);

    before(async () => {
        local = await startLocal("--no-limits");
        kinesis = local.client(sdk.Kinesis, options());
    });
    after(() => local.stop());

    say("a stream is created, described, listed and deleted", async () => {
        await create(kinesis, "life", 3, { Tags: { team: "taxi" } });
        await sdk.waitUntilStreamExists({ client: kinesis, maxWaitTime: 20 }, { StreamName: "life" });

        const { StreamDescription: stream } = await kinesis.describeStream({ StreamName: "life" });

        assert.equal(stream.StreamARN, arnOf("life"));
        assert.equal(stream.StreamStatus, "ACTIVE");
        assert.equal(stream.StreamModeDetails.StreamMode, "PROVISIONED");
        assert.equal(stream.RetentionPeriodHours, 24);
        assert.equal(stream.EncryptionType, "NONE");
        assert.equal(stream.KeyId, undefined);
        assert.equal(stream.HasMoreShards, false);
        assert.deepEqual(stream.EnhancedMonitoring, [{ ShardLevelMetrics: [] }]);
        assert.ok(Math.abs(stream.StreamCreationTimestamp - Date.now()) < 60000);
        assert.deepEqual(
            stream.Shards.map((shard) => shard.ShardId),
            ["shardId-000000000000", "shardId-000000000001", "shardId-000000000002"],
        );
        assert.deepEqual(
            stream.Shards.map((shard) => BigInt(shard.HashKeyRange.StartingHashKey)),
            [0n, WHOLE / 3n, (WHOLE / 3n) * 2n],
        );
        assert.equal(BigInt(stream.Shards[2].HashKeyRange.EndingHashKey), WHOLE - 1n);
        assert.ok(stream.Shards.every(isOpen));

        const page = await kinesis.describeStream({
            StreamName: "life",
            Limit: 1,
            ExclusiveStartShardId: "shardId-000000000000",
        });

        assert.deepEqual(page.StreamDescription.Shards, [stream.Shards[1]]);
        assert.equal(page.StreamDescription.HasMoreShards, true);

        const found = await summary(kinesis, "life");

        assert.equal(found.OpenShardCount, 3);
        assert.equal(found.ConsumerCount, 0);
        assert.equal(found.MaxRecordSizeInKiB, 1024);

        const list = await kinesis.listStreams({});

        assert.ok(list.StreamNames.includes("life"));
        assert.equal(list.StreamSummaries.find((s) => s.StreamName === "life").StreamARN, arnOf("life"));

        await kinesis.deleteStream({ StreamName: "life" });
        await sdk.waitUntilStreamNotExists({ client: kinesis, maxWaitTime: 20 }, { StreamName: "life" });
        await refused(
            kinesis.describeStream({ StreamName: "life" }),
            sdk.ResourceNotFoundException,
            `Stream life under account ${ACCOUNT} not found.`,
        );
    });

    say("a name is given once, and bad requests are told what is wrong with them", async () => {
        await create(kinesis, "once");
        await refused(
            kinesis.createStream({ StreamName: "once", ShardCount: 1 }),
            sdk.ResourceInUseException,
            `Stream once under account ${ACCOUNT} already exists.`,
        );
        await refused(
            kinesis.createStream({ StreamName: "not a name", ShardCount: 0 }),
            "ValidationException",
            /^2 validation errors detected: .*Value 'not a name' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: \[a-zA-Z0-9_.-\]\+/,
        );
        await refused(
            kinesis.putRecord({ StreamName: "once", Data: bytes("x") }),
            "ValidationException",
            "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null",
        );
        await refused(
            kinesis.getRecords({ ShardIterator: "nonsense" }),
            sdk.InvalidArgumentException,
            "Invalid ShardIterator.",
        );
        await refused(
            kinesis.getShardIterator({
                StreamName: "once",
                ShardId: "shardId-000000000009",
                ShardIteratorType: "LATEST",
            }),
            sdk.ResourceNotFoundException,
            `Shard shardId-000000000009 in stream once under account ${ACCOUNT} does not exist`,
        );
        await refused(
            kinesis.putRecord({ StreamName: "once", Data: bytes("x"), PartitionKey: "k", ExplicitHashKey: `${WHOLE}` }),
            sdk.InvalidArgumentException,
            `Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was ${WHOLE}`,
        );
    });

    say("limits and account settings", async () => {
        await create(kinesis, "counted", 2);

        const limits = await kinesis.describeLimits({});

        assert.ok(limits.OpenShardCount >= 2);
        assert.ok(limits.ShardLimit >= limits.OpenShardCount);
        assert.ok(limits.OnDemandStreamCountLimit >= limits.OnDemandStreamCount);

        const set = await kinesis.updateAccountSettings({
            MinimumThroughputBillingCommitment: { Status: "ENABLED" },
        });

        assert.equal(set.MinimumThroughputBillingCommitment.Status, "ENABLED");
        assert.ok(set.MinimumThroughputBillingCommitment.StartedAt instanceof Date);

        const settings = await kinesis.describeAccountSettings({});

        assert.deepEqual(
            settings.MinimumThroughputBillingCommitment,
            set.MinimumThroughputBillingCommitment,
        );
    });

    say("a record goes to the shard of its key and comes back as it was", async () => {
        await create(kinesis, "one", 3);

        const shards = await shardsOf(kinesis, "one");
        const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
        let last = 0n;

        for (const PartitionKey of ["a", "b", "e", "f", "ü € 😀"]) {
            const put = await kinesis.putRecord({ StreamName: "one", Data: all, PartitionKey });

            assert.equal(put.ShardId, shardOf(shards, hashOf(PartitionKey)), PartitionKey);
            assert.match(put.SequenceNumber, /^[1-9]\d{55}$/);
            assert.equal(put.EncryptionType, undefined);

            const { records } = await read(kinesis, "one", put.ShardId, "AT_SEQUENCE_NUMBER", {
                StartingSequenceNumber: put.SequenceNumber,
            });

            assert.equal(records.length, 1);
            assert.equal(records[0].PartitionKey, PartitionKey);
            assert.equal(records[0].SequenceNumber, put.SequenceNumber);
            assert.deepEqual(Buffer.from(records[0].Data), all);
            assert.ok(Math.abs(records[0].ApproximateArrivalTimestamp - Date.now()) < 60000);
        }
        for (const data of ["", "second", "third"]) {
            const put = await kinesis.putRecord({
                StreamName: "one",
                Data: bytes(data),
                PartitionKey: "elsewhere",
                ExplicitHashKey: "0",
                SequenceNumberForOrdering: last ? `${last}` : undefined,
            });

            assert.equal(put.ShardId, "shardId-000000000000");
            assert.ok(BigInt(put.SequenceNumber) > last);
            last = BigInt(put.SequenceNumber);
        }

        const { records } = await read(kinesis, "one", "shardId-000000000000");

        assert.deepEqual(dataOf(records).slice(-3), ["", "second", "third"]);
    });

    say("500 records go in at once and come back in order", async () => {
        await create(kinesis, "many", 2);

        const Records = Array.from({ length: 500 }, (_, i) => ({
            Data: bytes(`record ${i}`),
            PartitionKey: `${i}`,
        }));
        const put = await kinesis.putRecords({ StreamName: "many", Records });

        assert.equal(put.FailedRecordCount, 0);
        assert.equal(put.Records.length, 500);
        for (const ShardId of ["shardId-000000000000", "shardId-000000000001"]) {
            const mine = put.Records.map((record, i) => ({ ...record, i })).filter((r) => r.ShardId === ShardId);
            const { records, end } = await read(kinesis, "many", ShardId);

            assert.ok(mine.length > 100);
            assert.deepEqual(dataOf(records), mine.map(({ i }) => `record ${i}`));
            assert.deepEqual(
                records.map((r) => r.SequenceNumber),
                mine.map((r) => r.SequenceNumber),
            );
            assert.equal(end.MillisBehindLatest, 0);
        }
        await refused(
            kinesis.putRecords({ StreamName: "many", Records: [...Records, Records[0]] }),
            "ValidationException",
            /^1 validation error detected: Value '\[.*\]' at 'records' failed to satisfy constraint: Member must have length less than or equal to 500$/s,
        );
        await refused(
            kinesis.putRecords({ StreamName: "none", Records }),
            sdk.ResourceNotFoundException,
            `Stream none under account ${ACCOUNT} not found.`,
        );
    });

    say("iterators of all types start where they should", async () => {
        const shard = "shardId-000000000000";
        const put = [];

        await create(kinesis, "from");

        const latest = await iterator(kinesis, "from", shard, "LATEST");

        for (const data of ["a", "b", "c"]) {
            put.push(await kinesis.putRecord({ StreamName: "from", Data: bytes(data), PartitionKey: "k" }));
        }

        const from = async (type, more) => dataOf((await read(kinesis, "from", shard, type, more)).records).join("");
        const StartingSequenceNumber = put[1].SequenceNumber;

        assert.equal(await from("TRIM_HORIZON"), "abc");
        assert.equal(await from("AT_SEQUENCE_NUMBER", { StartingSequenceNumber }), "bc");
        assert.equal(await from("AFTER_SEQUENCE_NUMBER", { StartingSequenceNumber }), "c");
        assert.equal(await from("LATEST"), "");
        assert.equal(await from("AT_TIMESTAMP", { Timestamp: new Date(Date.now() - 3600000) }), "abc");

        const answer = await kinesis.getRecords({ ShardIterator: latest, Limit: 2 });

        assert.deepEqual(dataOf(answer.Records), ["a", "b"]);

        const next = await kinesis.getRecords({ ShardIterator: answer.NextShardIterator });

        assert.deepEqual(dataOf(next.Records), ["c"]);
        assert.equal(next.ChildShards, undefined);

        const { Timestamp } = { Timestamp: new Date((await read(kinesis, "from", shard)).records[2].ApproximateArrivalTimestamp) };

        assert.match(await from("AT_TIMESTAMP", { Timestamp }), /c$/);
        await refused(iterator(kinesis, "from", shard, "AT_SEQUENCE_NUMBER"), sdk.InvalidArgumentException, /^Must either specify \(1\) AT_SEQUENCE_NUMBER/);
        await refused(
            iterator(kinesis, "from", shard, "AT_TIMESTAMP", { Timestamp: new Date(Date.now() + 3600000) }),
            sdk.InvalidArgumentException,
            /^The timestampInMillis parameter cannot be greater than the currentTimestampInMillis\./,
        );
    });

    say("a shard is split, and its children are merged", async () => {
        await create(kinesis, "cut");
        await kinesis.putRecord({ StreamName: "cut", Data: bytes("before"), PartitionKey: "k" });
        await refused(
            kinesis.splitShard({ StreamName: "cut", ShardToSplit: "shardId-000000000000", NewStartingHashKey: "1" }),
            sdk.InvalidArgumentException,
            /^NewStartingHashKey 1 used in SplitShard\(\) on shard shardId-000000000000 in stream cut under account \d+ is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey /,
        );
        await kinesis.splitShard({
            StreamName: "cut",
            ShardToSplit: "shardId-000000000000",
            NewStartingHashKey: `${WHOLE / 2n}`,
        });
        await active(kinesis, "cut");

        const [parent, low, high, ...rest] = await shardsOf(kinesis, "cut");

        assert.deepEqual(rest, []);
        assert.ok(parent.SequenceNumberRange.EndingSequenceNumber);
        assert.ok(isOpen(low) && isOpen(high));
        assert.deepEqual([low.ParentShardId, high.ParentShardId], [parent.ShardId, parent.ShardId]);
        assert.equal(low.AdjacentParentShardId, undefined);
        assert.deepEqual(low.HashKeyRange, { StartingHashKey: "0", EndingHashKey: `${WHOLE / 2n - 1n}` });
        assert.deepEqual(high.HashKeyRange, { StartingHashKey: `${WHOLE / 2n}`, EndingHashKey: `${WHOLE - 1n}` });
        assert.ok(
            BigInt(low.SequenceNumberRange.StartingSequenceNumber) >
                BigInt(parent.SequenceNumberRange.EndingSequenceNumber),
        );

        const { records, end } = await read(kinesis, "cut", parent.ShardId);

        assert.deepEqual(dataOf(records), ["before"]);
        assert.equal(end.NextShardIterator, undefined);
        assert.deepEqual(end.ChildShards, [
            { ShardId: low.ShardId, ParentShards: [parent.ShardId], HashKeyRange: low.HashKeyRange },
            { ShardId: high.ShardId, ParentShards: [parent.ShardId], HashKeyRange: high.HashKeyRange },
        ]);
        await refused(
            kinesis.mergeShards({ StreamName: "cut", ShardToMerge: high.ShardId, AdjacentShardToMerge: low.ShardId }),
            sdk.InvalidArgumentException,
            `Shards ${high.ShardId} and ${low.ShardId} in stream cut under account ${ACCOUNT} are not an adjacent pair of shards eligible for merging`,
        );
        await kinesis.mergeShards({
            StreamName: "cut",
            ShardToMerge: low.ShardId,
            AdjacentShardToMerge: high.ShardId,
        });
        await active(kinesis, "cut");

        const merged = (await shardsOf(kinesis, "cut")).find(isOpen);

        assert.equal(merged.ShardId, "shardId-000000000003");
        assert.equal(merged.ParentShardId, low.ShardId);
        assert.equal(merged.AdjacentParentShardId, high.ShardId);
        assert.deepEqual(merged.HashKeyRange, { StartingHashKey: "0", EndingHashKey: `${WHOLE - 1n}` });
        assert.deepEqual((await read(kinesis, "cut", low.ShardId)).end.ChildShards, [
            {
                ShardId: merged.ShardId,
                ParentShards: [low.ShardId, high.ShardId],
                HashKeyRange: merged.HashKeyRange,
            },
        ]);

        const put = await kinesis.putRecord({ StreamName: "cut", Data: bytes("after"), PartitionKey: "k" });

        assert.equal(put.ShardId, merged.ShardId);
        assert.equal((await summary(kinesis, "cut")).OpenShardCount, 1);
    });

    say("a stream is scaled evenly", async () => {
        await create(kinesis, "scaled", 2);

        const answer = await kinesis.updateShardCount({
            StreamName: "scaled",
            TargetShardCount: 4,
            ScalingType: "UNIFORM_SCALING",
        });

        assert.equal(answer.StreamName, "scaled");
        assert.equal(answer.StreamARN, arnOf("scaled"));
        assert.deepEqual([answer.CurrentShardCount, answer.TargetShardCount], [2, 4]);
        await active(kinesis, "scaled");

        const starts = async () =>
            (await shardsOf(kinesis, "scaled"))
                .filter(isOpen)
                .map((shard) => BigInt(shard.HashKeyRange.StartingHashKey))
                .sort((a, b) => (a < b ? -1 : 1));

        assert.deepEqual(await starts(), [0n, WHOLE / 4n, WHOLE / 2n, (WHOLE / 4n) * 3n]);
        await kinesis.updateShardCount({ StreamName: "scaled", TargetShardCount: 3, ScalingType: "UNIFORM_SCALING" });
        await active(kinesis, "scaled");
        assert.deepEqual(await starts(), [0n, WHOLE / 3n, (WHOLE / 3n) * 2n]);
        await refused(
            kinesis.updateShardCount({ StreamName: "scaled", TargetShardCount: 7, ScalingType: "UNIFORM_SCALING" }),
            sdk.InvalidArgumentException,
        );
    });

    say("shards are listed in pages and by filter", async () => {
        await create(kinesis, "pages", 4);
        await kinesis.splitShard({
            StreamName: "pages",
            ShardToSplit: "shardId-000000000000",
            NewStartingHashKey: "1000",
        });
        await active(kinesis, "pages");

        const ids = (answer) => answer.Shards.map((shard) => Number(shard.ShardId.slice(-3)));
        const first = await kinesis.listShards({ StreamName: "pages", MaxResults: 4 });

        assert.deepEqual(ids(first), [0, 1, 2, 3]);

        const second = await kinesis.listShards({ NextToken: first.NextToken, MaxResults: 4 });

        assert.deepEqual(ids(second), [4, 5]);
        assert.equal(second.NextToken, undefined);
        await refused(
            kinesis.listShards({ StreamName: "pages", NextToken: first.NextToken }),
            sdk.InvalidArgumentException,
            "NextToken and StreamName cannot be provided together.",
        );
        await refused(
            kinesis.listShards({}),
            sdk.InvalidArgumentException,
            "Either NextToken or StreamName should be provided.",
        );

        const filtered = async (filter) => ids(await kinesis.listShards({ StreamName: "pages", ShardFilter: filter }));

        assert.deepEqual(await filtered({ Type: "AT_LATEST" }), [1, 2, 3, 4, 5]);
        assert.deepEqual(await filtered({ Type: "FROM_TRIM_HORIZON" }), [0, 1, 2, 3, 4, 5]);
        assert.deepEqual(await filtered({ Type: "AFTER_SHARD_ID", ShardId: "shardId-000000000003" }), [4, 5]);
        assert.deepEqual(await filtered({ Type: "AT_TRIM_HORIZON" }), [0, 1, 2, 3]);
        assert.deepEqual(await filtered({ Type: "FROM_TIMESTAMP", Timestamp: new Date() }), await filtered({ Type: "AT_LATEST" }));
    });

    say("streams are listed in pages", async () => {
        for (const name of ["zz-1", "zz-2", "zz-3"]) {
            await create(kinesis, name);
        }

        const first = await kinesis.listStreams({ ExclusiveStartStreamName: "zz-", Limit: 2 });

        assert.deepEqual(first.StreamNames, ["zz-1", "zz-2"]);
        assert.equal(first.HasMoreStreams, true);

        const second = await kinesis.listStreams({ NextToken: first.NextToken });

        assert.deepEqual(second.StreamNames, ["zz-3"]);
        assert.equal(second.HasMoreStreams, false);
    });

    say("the retention period goes up and down", async () => {
        const hours = async () => (await summary(kinesis, "kept")).RetentionPeriodHours;

        await create(kinesis, "kept");
        await kinesis.increaseStreamRetentionPeriod({ StreamName: "kept", RetentionPeriodHours: 48 });
        await active(kinesis, "kept");
        assert.equal(await hours(), 48);
        await kinesis.decreaseStreamRetentionPeriod({ StreamName: "kept", RetentionPeriodHours: 24 });
        await active(kinesis, "kept");
        assert.equal(await hours(), 24);
        await refused(
            kinesis.decreaseStreamRetentionPeriod({ StreamName: "kept", RetentionPeriodHours: 23 }),
            sdk.InvalidArgumentException,
            "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
        );
        await refused(
            kinesis.decreaseStreamRetentionPeriod({ StreamName: "kept", RetentionPeriodHours: 25 }),
            sdk.InvalidArgumentException,
            "Requested retention period (25 hours) for stream kept can not be longer than existing retention period (24 hours). Use IncreaseRetentionPeriod API.",
        );
    });

    say("tags are put on a stream in two ways", async () => {
        await create(kinesis, "tagged", 1, { Tags: { made: "with it" } });
        await kinesis.addTagsToStream({ StreamName: "tagged", Tags: { b: "2", a: "1" } });
        await kinesis.tagResource({ ResourceARN: arnOf("tagged"), Tags: { c: "3", a: "one" } });

        const all = [
            { Key: "a", Value: "one" },
            { Key: "b", Value: "2" },
            { Key: "c", Value: "3" },
            { Key: "made", Value: "with it" },
        ];
        const list = await kinesis.listTagsForStream({ StreamName: "tagged" });

        assert.deepEqual(list.Tags, all);
        assert.equal(list.HasMoreTags, false);

        const page = await kinesis.listTagsForStream({ StreamName: "tagged", ExclusiveStartTagKey: "a", Limit: 1 });

        assert.deepEqual(page.Tags, [all[1]]);
        assert.equal(page.HasMoreTags, true);
        await kinesis.removeTagsFromStream({ StreamName: "tagged", TagKeys: ["a", "not there"] });
        await kinesis.untagResource({ ResourceARN: arnOf("tagged"), TagKeys: ["made"] });
        assert.deepEqual((await kinesis.listTagsForResource({ ResourceARN: arnOf("tagged") })).Tags, [all[1], all[2]]);
        await refused(
            kinesis.addTagsToStream({ StreamName: "tagged", Tags: { "a;b": "" } }),
            sdk.InvalidArgumentException,
            "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.",
        );
    });

    say("encryption shows in answers and records", async () => {
        const key = { StreamName: "secret", EncryptionType: "KMS", KeyId: "alias/aws/kinesis" };

        await create(kinesis, "secret");
        await kinesis.startStreamEncryption(key);

        const found = await active(kinesis, "secret");

        assert.equal(found.EncryptionType, "KMS");
        assert.equal(found.KeyId, "alias/aws/kinesis");

        const put = await kinesis.putRecord({ StreamName: "secret", Data: bytes("x"), PartitionKey: "k" });
        const more = await kinesis.putRecords({
            StreamName: "secret",
            Records: [{ Data: bytes("y"), PartitionKey: "k" }],
        });

        assert.equal(put.EncryptionType, "KMS");
        assert.equal(more.EncryptionType, "KMS");

        const { records } = await read(kinesis, "secret", put.ShardId);

        assert.deepEqual(dataOf(records), ["x", "y"]);
        assert.deepEqual(records.map((record) => record.EncryptionType), ["KMS", "KMS"]);
        await kinesis.stopStreamEncryption(key);

        const plain = await active(kinesis, "secret");

        assert.equal(plain.EncryptionType, "NONE");
        assert.equal(plain.KeyId, undefined);
    });

    say("enhanced monitoring is switched per metric", async () => {
        const seven = [
            "IncomingBytes",
            "IncomingRecords",
            "IteratorAgeMilliseconds",
            "OutgoingBytes",
            "OutgoingRecords",
            "ReadProvisionedThroughputExceeded",
            "WriteProvisionedThroughputExceeded",
        ];

        await create(kinesis, "watched");

        const on = await kinesis.enableEnhancedMonitoring({
            StreamName: "watched",
            ShardLevelMetrics: ["IncomingBytes", "OutgoingBytes"],
        });

        assert.equal(on.StreamName, "watched");
        assert.deepEqual(on.CurrentShardLevelMetrics ?? [], []);
        assert.deepEqual([...on.DesiredShardLevelMetrics].sort(), ["IncomingBytes", "OutgoingBytes"]);
        await active(kinesis, "watched");

        const all = await kinesis.enableEnhancedMonitoring({ StreamName: "watched", ShardLevelMetrics: ["ALL"] });

        assert.deepEqual([...all.CurrentShardLevelMetrics].sort(), ["IncomingBytes", "OutgoingBytes"]);
        assert.deepEqual([...all.DesiredShardLevelMetrics].sort(), seven);
        await active(kinesis, "watched");

        const off = await kinesis.disableEnhancedMonitoring({
            StreamName: "watched",
            ShardLevelMetrics: ["IncomingBytes"],
        });

        assert.deepEqual([...off.DesiredShardLevelMetrics].sort(), seven.slice(1));

        const found = await active(kinesis, "watched");

        assert.deepEqual([...found.EnhancedMonitoring[0].ShardLevelMetrics].sort(), seven.slice(1));
    });

    say("a resource policy is put, read and deleted", async () => {
        const ResourceARN = arnOf("shared");
        const Policy = JSON.stringify({
            Version: "2012-10-17",
            Statement: [
                {
                    Effect: "Allow",
                    Principal: { AWS: "111111111111" },
                    Action: ["kinesis:PutRecord"],
                    Resource: ResourceARN,
                },
            ],
        });

        await create(kinesis, "shared");
        assert.equal((await kinesis.getResourcePolicy({ ResourceARN })).Policy, "{}");
        await kinesis.putResourcePolicy({ ResourceARN, Policy });
        assert.deepEqual(
            JSON.parse((await kinesis.getResourcePolicy({ ResourceARN })).Policy),
            JSON.parse(Policy),
        );
        await kinesis.deleteResourcePolicy({ ResourceARN });
        assert.equal((await kinesis.getResourcePolicy({ ResourceARN })).Policy, "{}");
        await refused(
            kinesis.putResourcePolicy({ ResourceARN: arnOf("none"), Policy }),
            sdk.ResourceNotFoundException,
        );
    });

    say("a stream on demand scales by itself, and may be warmed", async () => {
        await kinesis.updateAccountSettings({ MinimumThroughputBillingCommitment: { Status: "ENABLED" } });
        await kinesis.createStream({ StreamName: "demand", StreamModeDetails: { StreamMode: "ON_DEMAND" } });
        assert.equal((await active(kinesis, "demand")).OpenShardCount, 4);
        await refused(
            kinesis.updateShardCount({ StreamName: "demand", TargetShardCount: 8, ScalingType: "UNIFORM_SCALING" }),
            sdk.ValidationException,
        );

        const warm = await kinesis.updateStreamWarmThroughput({ StreamName: "demand", WarmThroughputMiBps: 100 });

        assert.equal(warm.StreamName, "demand");
        assert.equal(warm.StreamARN, arnOf("demand"));
        assert.equal(warm.WarmThroughput.TargetMiBps, 100);
        assert.equal((await active(kinesis, "demand")).WarmThroughput.CurrentMiBps, 100);
        await kinesis.updateStreamMode({
            StreamARN: arnOf("demand"),
            StreamModeDetails: { StreamMode: "PROVISIONED" },
        });

        const found = await active(kinesis, "demand");

        assert.equal(found.StreamModeDetails.StreamMode, "PROVISIONED");
        await kinesis.updateStreamMode({
            StreamARN: arnOf("demand"),
            StreamModeDetails: { StreamMode: "ON_DEMAND" },
        });
        assert.equal((await active(kinesis, "demand")).StreamModeDetails.StreamMode, "ON_DEMAND");
        await refused(
            kinesis.updateStreamWarmThroughput({ StreamName: "once", WarmThroughputMiBps: 1 }),
            sdk.ValidationException,
        );
    });

    say("larger records are allowed per stream", async () => {
        const Data = Buffer.alloc(2 << 20, "x");

        await create(kinesis, "large");
        await refused(
            kinesis.putRecord({ StreamName: "large", Data, PartitionKey: "k" }),
            "ValidationException",
            /at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576$/,
        );
        await kinesis.updateMaxRecordSize({ StreamARN: arnOf("large"), MaxRecordSizeInKiB: 4096 });
        assert.equal((await active(kinesis, "large")).MaxRecordSizeInKiB, 4096);

        const put = await kinesis.putRecord({ StreamName: "large", Data, PartitionKey: "k" });
        const { records } = await read(kinesis, "large", put.ShardId);

        assert.equal(records.length, 1);
        assert.ok(Data.equals(records[0].Data));
        await refused(
            kinesis.updateMaxRecordSize({ StreamARN: arnOf("large"), MaxRecordSizeInKiB: 1023 }),
            sdk.ValidationException,
        );
    });

    say("an ARN is as good as a name, unless they disagree", async () => {
        const StreamARN = arnOf("by-arn");

        await create(kinesis, "by-arn");

        const put = await kinesis.putRecord({ StreamARN, Data: bytes("x"), PartitionKey: "k" });
        const at = await kinesis.getShardIterator({
            StreamARN,
            StreamName: "by-arn",
            ShardId: put.ShardId,
            ShardIteratorType: "TRIM_HORIZON",
        });
        const answer = await kinesis.getRecords({ StreamARN, ShardIterator: at.ShardIterator });

        assert.deepEqual(dataOf(answer.Records), ["x"]);
        await refused(
            kinesis.describeStreamSummary({ StreamARN, StreamName: "once" }),
            sdk.InvalidArgumentException,
        );
        await refused(kinesis.describeStreamSummary({}), sdk.InvalidArgumentException);
    });

    consumerTests(say, () => kinesis);

    say("a wrong secret is refused", async () => {
        const other = local.client(sdk.Kinesis, {
            ...options(),
            credentials: { accessKeyId: "test", secretAccessKey: "wrong" },
        });

        await refused(other.listStreams({}), "InvalidSignatureException", /^The request signature we calculated does not match/);
    });

    say("all is there after kill -9, and iterators go on", async () => {
        await create(kinesis, "durable", 2);

        const Records = Array.from({ length: 100 }, (_, i) => ({ Data: bytes(`${i}`), PartitionKey: `${i}` }));

        await kinesis.putRecords({ StreamName: "durable", Records });
        await kinesis.addTagsToStream({ StreamName: "durable", Tags: { kept: "yes" } });

        const at = await iterator(kinesis, "durable", "shardId-000000000001", "TRIM_HORIZON");

        await local.crash();
        kinesis = local.client(sdk.Kinesis, options());

        const [a, b] = [
            await read(kinesis, "durable", "shardId-000000000000"),
            await read(kinesis, "durable", "shardId-000000000001"),
        ];

        assert.deepEqual(
            dataOf([...a.records, ...b.records]).map(Number).sort((x, y) => x - y),
            Records.map((_, i) => i),
        );
        assert.deepEqual((await kinesis.getRecords({ ShardIterator: at })).Records, b.records);
        assert.deepEqual((await kinesis.listTagsForStream({ StreamName: "durable" })).Tags, [
            { Key: "kept", Value: "yes" },
        ]);
    });
}

function consumerTests(say, kinesis) {
    const register = async (stream, ConsumerName) => {
        const { Consumer } = await kinesis().registerStreamConsumer({ StreamARN: arnOf(stream), ConsumerName });

        await until(async () => {
            const { ConsumerDescription } = await kinesis().describeStreamConsumer({
                ConsumerARN: Consumer.ConsumerARN,
            });

            return ConsumerDescription.ConsumerStatus === "ACTIVE";
        }, `${ConsumerName} is ACTIVE`);
        return Consumer;
    };
    const put = (stream, data) =>
        kinesis().putRecord({ StreamName: stream, Data: bytes(data), PartitionKey: "k" });

    say("consumers are registered, listed and taken away", async () => {
        await create(kinesis(), "heard");

        const consumer = await register("heard", "ear");

        assert.equal(consumer.ConsumerName, "ear");
        assert.match(consumer.ConsumerARN, new RegExp(`^${arnOf("heard")}/consumer/ear:\\d+$`));
        assert.match(consumer.ConsumerStatus, /^(CREATING|ACTIVE)$/);

        const { ConsumerDescription: found } = await kinesis().describeStreamConsumer({
            StreamARN: arnOf("heard"),
            ConsumerName: "ear",
        });

        assert.equal(found.StreamARN, arnOf("heard"));
        assert.equal(found.ConsumerARN, consumer.ConsumerARN);
        await refused(
            kinesis().registerStreamConsumer({ StreamARN: arnOf("heard"), ConsumerName: "ear" }),
            sdk.ResourceInUseException,
        );
        await register("heard", "other");

        const first = await kinesis().listStreamConsumers({ StreamARN: arnOf("heard"), MaxResults: 1 });
        const second = await kinesis().listStreamConsumers({
            StreamARN: arnOf("heard"),
            NextToken: first.NextToken,
        });

        assert.deepEqual(
            [...first.Consumers, ...second.Consumers].map((c) => c.ConsumerName),
            ["ear", "other"],
        );
        assert.equal(second.NextToken, undefined);
        assert.equal((await summary(kinesis(), "heard")).ConsumerCount, 2);
        await kinesis().tagResource({ ResourceARN: consumer.ConsumerARN, Tags: { a: "1" } });
        assert.deepEqual((await kinesis().listTagsForResource({ ResourceARN: consumer.ConsumerARN })).Tags, [
            { Key: "a", Value: "1" },
        ]);
        await refused(kinesis().deleteStream({ StreamName: "heard" }), sdk.ResourceInUseException);
        await kinesis().deregisterStreamConsumer({ ConsumerARN: consumer.ConsumerARN });
        await until(async () => {
            const { Consumers } = await kinesis().listStreamConsumers({ StreamARN: arnOf("heard") });

            return Consumers.length === 1;
        });
        await refused(
            kinesis().describeStreamConsumer({ ConsumerARN: consumer.ConsumerARN }),
            sdk.ResourceNotFoundException,
        );
        await kinesis().deleteStream({ StreamName: "heard", EnforceConsumerDeletion: true });
        await sdk.waitUntilStreamNotExists({ client: kinesis(), maxWaitTime: 20 }, { StreamName: "heard" });
    });

    say("a subscription brings what is there and what comes", async () => {
        const ShardId = "shardId-000000000000";

        await create(kinesis(), "pushed");
        await put("pushed", "there");

        const { ConsumerARN } = await register("pushed", "one");
        const subscribe = (arn, StartingPosition) =>
            kinesis().subscribeToShard({ ConsumerARN: arn, ShardId, StartingPosition });
        const subscription = await subscribe(ConsumerARN, { Type: "TRIM_HORIZON" });
        const putting = [];
        const { events, records } = await take(subscription, async (all) => {
            if (all.length === 1 && putting.length === 0) {
                await refused(subscribe(ConsumerARN, { Type: "LATEST" }), sdk.ResourceInUseException);
                putting.push(put("pushed", "comes"), put("pushed", "later"));
            }
            return all.length === 3;
        });

        await Promise.all(putting);
        assert.equal(text(records[0].Data), "there");
        assert.deepEqual(dataOf(records.slice(1)).sort(), ["comes", "later"]);
        assert.deepEqual(records.map((r) => r.PartitionKey), ["k", "k", "k"]);
        assert.ok(records.every((r) => r.ApproximateArrivalTimestamp instanceof Date));
        for (const event of events) {
            assert.match(event.ContinuationSequenceNumber, /^\d+$/);
            assert.equal(typeof event.MillisBehindLatest, "number");
        }

        const other = await register("pushed", "two");
        const again = await subscribe(other.ConsumerARN, {
            Type: "AFTER_SEQUENCE_NUMBER",
            SequenceNumber: events.find((e) => e.Records.length).ContinuationSequenceNumber,
        });
        const rest = await take(again, (all) => all.length >= 2);

        assert.deepEqual(dataOf(rest.records).slice(-2), dataOf(records).slice(-2));
        await refused(
            subscribe(`${arnOf("pushed")}/consumer/nobody:1`, { Type: "LATEST" }),
            sdk.ResourceNotFoundException,
        );
    });

    say("a subscription to a shard that is split ends with the children", async () => {
        const ShardId = "shardId-000000000000";

        await create(kinesis(), "ending");
        await put("ending", "last");

        const { ConsumerARN } = await register("ending", "one");
        const subscription = await kinesis().subscribeToShard({
            ConsumerARN,
            ShardId,
            StartingPosition: { Type: "TRIM_HORIZON" },
        });
        let splitting;
        const { events, records } = await take(subscription, (all) => {
            if (all.length === 1) {
                splitting ??= kinesis().splitShard({
                    StreamName: "ending",
                    ShardToSplit: ShardId,
                    NewStartingHashKey: `${WHOLE / 2n}`,
                });
            }
            return false; /* to the end of the stream */
        });

        await splitting;
        assert.deepEqual(dataOf(records), ["last"]);
        assert.deepEqual(
            events.at(-1).ChildShards.map((child) => [child.ShardId, child.ParentShards]),
            [
                ["shardId-000000000001", [ShardId]],
                ["shardId-000000000002", [ShardId]],
            ],
        );
    });
}
