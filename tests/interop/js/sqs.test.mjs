/* sqs.test.mjs - SQS as the AWS SDK for JavaScript sees it: every operation. That client checks the
 * MD5 of each body and attribute itself.
 */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import * as sdk from "@aws-sdk/client-sqs";
import { ACCOUNT, REGION, check, refused, startLocal, until } from "./lib.mjs";

let local;
let sqs;

before(async () => {
    local = await startLocal();
    sqs = local.client(sdk.SQS);
});
after(() => local.stop());

const arnOf = (name) => `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`;

async function create(QueueName, Attributes = undefined, more = {}) {
    const { QueueUrl } = await sqs.createQueue({ QueueName, Attributes, ...more });

    return QueueUrl;
}

async function attributes(QueueUrl, ...AttributeNames) {
    return (await sqs.getQueueAttributes({ QueueUrl, AttributeNames })).Attributes;
}

async function receive(QueueUrl, more = {}) {
    return (await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10, ...more })).Messages ?? [];
}

const bodies = (messages) => messages.map((message) => message.Body);

check("sqs: a queue is created, found, listed, changed and deleted", async () => {
    const QueueUrl = await create("life", { VisibilityTimeout: "60" });

    assert.equal(QueueUrl, `${local.url}/${ACCOUNT}/life`);
    assert.equal(await create("life", { VisibilityTimeout: "60" }), QueueUrl);
    await refused(
        create("life", { VisibilityTimeout: "61" }),
        sdk.QueueNameExists,
        "A queue already exists with the same name and a different value for attribute VisibilityTimeout",
    );
    assert.equal((await sqs.getQueueUrl({ QueueName: "life" })).QueueUrl, QueueUrl);
    assert.deepEqual((await sqs.listQueues({ QueueNamePrefix: "li" })).QueueUrls, [QueueUrl]);
    assert.equal((await sqs.listQueues({ QueueNamePrefix: "nothing" })).QueueUrls, undefined);

    const all = await attributes(QueueUrl, "All");

    assert.equal(all.QueueArn, arnOf("life"));
    assert.equal(all.VisibilityTimeout, "60");
    assert.equal(all.MessageRetentionPeriod, "345600");
    assert.equal(all.MaximumMessageSize, "1048576");
    assert.equal(all.ApproximateNumberOfMessages, "0");
    assert.equal(all.FifoQueue, undefined);
    await sqs.setQueueAttributes({ QueueUrl, Attributes: { DelaySeconds: "1", VisibilityTimeout: "5" } });
    assert.deepEqual(await attributes(QueueUrl, "DelaySeconds", "VisibilityTimeout"), {
        DelaySeconds: "1",
        VisibilityTimeout: "5",
    });
    await refused(attributes(QueueUrl, "Nonsense"), sdk.InvalidAttributeName, "Unknown Attribute Nonsense.");
    await refused(
        sqs.setQueueAttributes({ QueueUrl, Attributes: { DelaySeconds: "901" } }),
        sdk.InvalidAttributeValue,
        "Invalid value for the parameter DelaySeconds.",
    );
    await sqs.deleteQueue({ QueueUrl });
    await refused(
        sqs.sendMessage({ QueueUrl, MessageBody: "x" }),
        sdk.QueueDoesNotExist,
        "The specified queue does not exist.",
    );
    await refused(sqs.getQueueUrl({ QueueName: "life" }), sdk.QueueDoesNotExist);
});

check("sqs: queues are listed in pages", async () => {
    const urls = [];

    for (let i = 0; i < 5; i++) {
        urls.push(await create(`page-${i}`));
    }

    const first = await sqs.listQueues({ QueueNamePrefix: "page-", MaxResults: 3 });
    const second = await sqs.listQueues({ QueueNamePrefix: "page-", MaxResults: 3, NextToken: first.NextToken });

    assert.deepEqual([...first.QueueUrls, ...second.QueueUrls].sort(), urls);
    assert.equal(second.NextToken, undefined);
});

check("sqs: a message with attributes makes the round trip", async () => {
    const QueueUrl = await create("jobs");
    const MessageAttributes = {
        kind: { DataType: "String", StringValue: "tést" },
        count: { DataType: "Number.int", StringValue: "42" },
        raw: { DataType: "Binary", BinaryValue: new Uint8Array([0, 1, 255]) },
    };
    const sent = await sqs.sendMessage({
        QueueUrl,
        MessageBody: '<ü & "😀">\t\r\n',
        MessageAttributes,
        MessageSystemAttributes: { AWSTraceHeader: { DataType: "String", StringValue: "Root=1-5759e988-bd862e3fe1be46a994272793" } },
    });
    const [message] = await receive(QueueUrl, {
        MessageSystemAttributeNames: ["All"],
        MessageAttributeNames: ["All"],
    });

    assert.match(sent.MD5OfMessageAttributes, /^[0-9a-f]{32}$/);
    assert.equal(message.MessageId, sent.MessageId);
    assert.equal(message.Body, '<ü & "😀">\t\r\n');
    assert.equal(message.MD5OfMessageAttributes, sent.MD5OfMessageAttributes);
    assert.equal(message.MessageAttributes.kind.StringValue, "tést");
    assert.equal(message.MessageAttributes.count.DataType, "Number.int");
    assert.deepEqual([...message.MessageAttributes.raw.BinaryValue], [0, 1, 255]);
    assert.equal(message.Attributes.ApproximateReceiveCount, "1");
    assert.equal(message.Attributes.AWSTraceHeader, "Root=1-5759e988-bd862e3fe1be46a994272793");
    assert.ok(Math.abs(Number(message.Attributes.SentTimestamp) - Date.now()) < 60000);
    assert.deepEqual(await receive(QueueUrl), []);
    assert.deepEqual(await attributes(QueueUrl, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"), {
        ApproximateNumberOfMessages: "0",
        ApproximateNumberOfMessagesNotVisible: "1",
    });
    await sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: 0 });

    const [again] = await receive(QueueUrl, {
        MessageAttributeNames: ["ki.*", "count"],
        MessageSystemAttributeNames: ["ApproximateReceiveCount"],
    });

    assert.deepEqual(again.Attributes, { ApproximateReceiveCount: "2" });
    assert.deepEqual(Object.keys(again.MessageAttributes).sort(), ["count", "kind"]);
    await sqs.deleteMessage({ QueueUrl, ReceiptHandle: again.ReceiptHandle });
    await sqs.deleteMessage({ QueueUrl, ReceiptHandle: again.ReceiptHandle });
    await refused(sqs.deleteMessage({ QueueUrl, ReceiptHandle: "nonsense" }), sdk.ReceiptHandleIsInvalid);
});

check("sqs: batches of ten, with one that is wrong", async () => {
    const QueueUrl = await create("batches");
    const Entries = Array.from({ length: 10 }, (_, i) => ({ Id: `${i}`, MessageBody: `m${i}` }));
    const sent = await sqs.sendMessageBatch({ QueueUrl, Entries });

    assert.equal(sent.Successful.length, 10);

    const messages = await receive(QueueUrl);

    assert.deepEqual(bodies(messages).sort(), bodies(Entries.map((e) => ({ Body: e.MessageBody }))));

    const handles = messages.map((m, i) => ({ Id: `${i}`, ReceiptHandle: m.ReceiptHandle }));
    const changed = await sqs.changeMessageVisibilityBatch({
        QueueUrl,
        Entries: handles.map((entry) => ({ ...entry, VisibilityTimeout: 100 })),
    });

    assert.equal(changed.Successful.length, 10);

    const deleted = await sqs.deleteMessageBatch({
        QueueUrl,
        Entries: [...handles.slice(0, 9), { Id: "bad", ReceiptHandle: "nonsense" }],
    });

    assert.equal(deleted.Successful.length, 9);
    assert.deepEqual(deleted.Failed.map(({ Id, Code, SenderFault }) => ({ Id, Code, SenderFault })), [
        { Id: "bad", Code: "ReceiptHandleIsInvalid", SenderFault: true },
    ]);
    await refused(
        sqs.sendMessageBatch({ QueueUrl, Entries: [...Entries, { Id: "10", MessageBody: "x" }] }),
        sdk.TooManyEntriesInBatchRequest,
        "Maximum number of entries per request are 10. You have sent 11.",
    );
    await refused(
        sqs.sendMessageBatch({ QueueUrl, Entries: [Entries[0], Entries[0]] }),
        sdk.BatchEntryIdsNotDistinct,
        "Id 0 repeated.",
    );
    await refused(sqs.sendMessageBatch({ QueueUrl, Entries: [] }), sdk.EmptyBatchRequest);
    await refused(
        receive(QueueUrl, { MaxNumberOfMessages: 11 }),
        "InvalidParameterValue",
        "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
    );
});

check("sqs: a long poll ends when a message is sent", async () => {
    const QueueUrl = await create("poll");
    const start = Date.now();
    const polls = [receive(QueueUrl, { WaitTimeSeconds: 20 }), receive(QueueUrl, { WaitTimeSeconds: 20 })];

    await sqs.sendMessageBatch({
        QueueUrl,
        Entries: ["1", "2"].map((id) => ({ Id: id, MessageBody: `now ${id}` })),
    });

    const first = await Promise.race(polls);

    assert.match(first[0].Body, /^now /);
    await sqs.sendMessage({ QueueUrl, MessageBody: "now 3" });
    assert.ok((await Promise.all(polls)).every((messages) => messages.length > 0));
    assert.ok(Date.now() - start < 15000);
});

check("sqs: FIFO queues keep the order of a group and drop repeats", async () => {
    const QueueUrl = await create("line.fifo", { FifoQueue: "true" });
    const send = (MessageBody, MessageGroupId, MessageDeduplicationId = MessageBody) =>
        sqs.sendMessage({ QueueUrl, MessageBody, MessageGroupId, MessageDeduplicationId });
    const first = await send("a1", "a");

    assert.match(first.SequenceNumber, /^\d{20}$/);
    for (const [body, group] of [["a2", "a"], ["b1", "b"], ["a3", "a"]]) {
        const sent = await send(body, group);

        assert.ok(BigInt(sent.SequenceNumber) > BigInt(first.SequenceNumber));
    }

    const repeat = await send("a1", "a");

    assert.equal(repeat.MessageId, first.MessageId);
    assert.equal(repeat.SequenceNumber, first.SequenceNumber);

    const [head] = await receive(QueueUrl, { MaxNumberOfMessages: 1, MessageSystemAttributeNames: ["All"] });

    assert.equal(head.Body, "a1");
    assert.equal(head.Attributes.MessageGroupId, "a");
    assert.equal(head.Attributes.SequenceNumber, first.SequenceNumber);
    assert.deepEqual(bodies(await receive(QueueUrl)), ["b1"]);
    await sqs.deleteMessage({ QueueUrl, ReceiptHandle: head.ReceiptHandle });
    assert.deepEqual(bodies(await receive(QueueUrl)), ["a2", "a3"]);
    await refused(
        sqs.sendMessage({ QueueUrl, MessageBody: "x", MessageDeduplicationId: "x" }),
        "MissingParameter",
        "The request must contain the parameter MessageGroupId.",
    );
    await refused(
        sqs.sendMessage({ QueueUrl, MessageBody: "x", MessageGroupId: "g" }),
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
    );
});

check("sqs: what was received too often moves to the dead-letter queue", async () => {
    const dead = await create("dead");
    const QueueUrl = await create("work", {
        VisibilityTimeout: "0",
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arnOf("dead"), maxReceiveCount: 2 }),
    });
    const { MessageId } = await sqs.sendMessage({ QueueUrl, MessageBody: "poison" });

    assert.equal((await receive(QueueUrl)).length, 1);
    assert.equal((await receive(QueueUrl)).length, 1);
    assert.equal((await receive(QueueUrl)).length, 0);

    const [moved] = await receive(dead, { MessageSystemAttributeNames: ["All"] });

    assert.equal(moved.MessageId, MessageId);
    assert.equal(moved.Body, "poison");
    assert.equal(moved.Attributes.DeadLetterQueueSourceArn, arnOf("work"));
    assert.deepEqual((await sqs.listDeadLetterSourceQueues({ QueueUrl: dead })).queueUrls, [QueueUrl]);
});

check("sqs: tags", async () => {
    const QueueUrl = await create("tagged", undefined, { tags: { made: "with it" } });

    await sqs.tagQueue({ QueueUrl, Tags: { a: "1", b: "2" } });
    await sqs.untagQueue({ QueueUrl, TagKeys: ["a"] });
    assert.deepEqual((await sqs.listQueueTags({ QueueUrl })).Tags, { made: "with it", b: "2" });
});

check("sqs: permissions become a policy", async () => {
    const QueueUrl = await create("shared");

    await sqs.addPermission({ QueueUrl, Label: "them", AWSAccountIds: ["111111111111"], Actions: ["SendMessage"] });

    const { Policy } = await attributes(QueueUrl, "Policy");
    const [statement] = JSON.parse(Policy).Statement;

    assert.equal(statement.Sid, "them");
    assert.equal(statement.Resource, arnOf("shared"));
    await refused(
        sqs.addPermission({ QueueUrl, Label: "them", AWSAccountIds: ["111111111111"], Actions: ["SendMessage"] }),
        "InvalidParameterValue",
    );
    await sqs.removePermission({ QueueUrl, Label: "them" });
    assert.equal((await attributes(QueueUrl, "Policy"))?.Policy, undefined);
});

check("sqs: messages are moved back from a dead-letter queue", async () => {
    const dead = await create("moved-dead");
    const QueueUrl = await create("moved", {
        VisibilityTimeout: "0",
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: arnOf("moved-dead"), maxReceiveCount: 1 }),
    });

    await sqs.sendMessageBatch({ QueueUrl, Entries: ["a", "b", "c"].map((Id) => ({ Id, MessageBody: Id })) });
    assert.equal((await receive(QueueUrl)).length, 3);
    assert.equal((await receive(QueueUrl)).length, 0);

    const { TaskHandle } = await sqs.startMessageMoveTask({ SourceArn: arnOf("moved-dead") });
    const task = await until(async () => {
        const { Results } = await sqs.listMessageMoveTasks({ SourceArn: arnOf("moved-dead") });

        return Results[0].Status === "COMPLETED" && Results[0];
    });

    assert.ok(TaskHandle);
    assert.equal(task.ApproximateNumberOfMessagesMoved, 3);
    assert.deepEqual(bodies(await receive(QueueUrl)).sort(), ["a", "b", "c"]);
    assert.deepEqual(await receive(dead), []);

    /* The three are dead again; one that takes its time can be stopped. */
    assert.equal((await receive(QueueUrl)).length, 0);

    const slow = await sqs.startMessageMoveTask({ SourceArn: arnOf("moved-dead"), MaxNumberOfMessagesPerSecond: 1 });
    const stopped = await sqs.cancelMessageMoveTask({ TaskHandle: slow.TaskHandle });

    assert.ok(stopped.ApproximateNumberOfMessagesMoved < 3);
    await refused(sqs.startMessageMoveTask({ SourceArn: arnOf("none") }), sdk.ResourceNotFoundException);
});

check("sqs: a purge empties a queue", async () => {
    const QueueUrl = await create("purged");

    await sqs.sendMessageBatch({ QueueUrl, Entries: [{ Id: "a", MessageBody: "a" }, { Id: "b", MessageBody: "b" }] });
    await sqs.purgeQueue({ QueueUrl });
    assert.deepEqual(await receive(QueueUrl), []);
    await refused(
        sqs.purgeQueue({ QueueUrl }),
        sdk.PurgeQueueInProgress,
        "Only one PurgeQueue operation on purged is allowed every 60 seconds.",
    );
});

check("sqs: a wrong secret is refused", async () => {
    const other = local.client(sdk.SQS, { credentials: { accessKeyId: "test", secretAccessKey: "wrong" } });

    const error = await refused(other.listQueues({}), "InvalidSignatureException");

    assert.equal(error.Code, "SignatureDoesNotMatch");
});

check("sqs: messages are there after kill -9, and the receipt of one still deletes it", async () => {
    const QueueUrl = await create("durable");

    await sqs.sendMessageBatch({
        QueueUrl,
        Entries: ["a", "b"].map((id) => ({ Id: id, MessageBody: id, MessageAttributes: { k: { DataType: "String", StringValue: id } } })),
    });

    const [held] = await receive(QueueUrl, { MaxNumberOfMessages: 1 });

    await local.crash();
    sqs = local.client(sdk.SQS);

    const { QueueUrl: now } = await sqs.getQueueUrl({ QueueName: "durable" });
    const rest = await receive(now, { MessageAttributeNames: ["All"] });

    assert.deepEqual([...bodies(rest), held.Body].sort(), ["a", "b"]);
    assert.equal(rest[0].MessageAttributes.k.StringValue, rest[0].Body);
    await sqs.deleteMessage({ QueueUrl: now, ReceiptHandle: held.ReceiptHandle });
    assert.equal((await attributes(now, "ApproximateNumberOfMessagesNotVisible")).ApproximateNumberOfMessagesNotVisible, "1");
});
