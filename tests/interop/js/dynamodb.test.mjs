/* dynamodb.test.mjs - DynamoDB as the AWS SDK for JavaScript sees it: every operation. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import * as sdk from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument, NumberValue } from "@aws-sdk/lib-dynamodb";
import { ACCOUNT, REGION, check, refused, startLocal, until } from "./lib.mjs";

let local;
let dynamodb;

before(async () => {
    local = await startLocal();
    dynamodb = local.client(sdk.DynamoDB);
});
after(() => local.stop());

const arnOf = (name) => `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${name}`;
const S = (text) => ({ S: text });
const N = (number) => ({ N: `${number}` });

async function create(TableName, more = {}) {
    const { TableDescription: table } = await dynamodb.createTable({
        TableName,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [
            { AttributeName: "pk", AttributeType: "S" },
            { AttributeName: "sk", AttributeType: "N" },
        ],
        KeySchema: [
            { AttributeName: "pk", KeyType: "HASH" },
            { AttributeName: "sk", KeyType: "RANGE" },
        ],
        ...more,
    });

    await sdk.waitUntilTableExists({ client: dynamodb, maxWaitTime: 60 }, { TableName });
    return table;
}

check("dynamodb: a table is created, described, changed, listed and deleted", async () => {
    const table = await create("life", {
        BillingMode: "PROVISIONED",
        ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 6 },
        Tags: [{ Key: "team", Value: "taxi" }],
    });

    assert.equal(table.TableArn, arnOf("life"));
    assert.match(table.TableStatus, /^(CREATING|ACTIVE)$/);

    const { Table: found } = await dynamodb.describeTable({ TableName: "life" });

    assert.equal(found.TableStatus, "ACTIVE");
    assert.equal(found.ItemCount, 0);
    assert.equal(found.ProvisionedThroughput.ReadCapacityUnits, 5);
    assert.equal(found.ProvisionedThroughput.WriteCapacityUnits, 6);
    assert.deepEqual(found.KeySchema, [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
    ]);
    assert.ok(Math.abs(found.CreationDateTime - Date.now()) < 60000);
    await dynamodb.updateTable({
        TableName: "life",
        AttributeDefinitions: [
            { AttributeName: "pk", AttributeType: "S" },
            { AttributeName: "sk", AttributeType: "N" },
            { AttributeName: "owner", AttributeType: "S" },
        ],
        GlobalSecondaryIndexUpdates: [
            {
                Create: {
                    IndexName: "by-owner",
                    KeySchema: [{ AttributeName: "owner", KeyType: "HASH" }],
                    Projection: { ProjectionType: "ALL" },
                    ProvisionedThroughput: { ReadCapacityUnits: 1, WriteCapacityUnits: 1 },
                },
            },
        ],
    });
    await until(async () => {
        const { Table: now } = await dynamodb.describeTable({ TableName: "life" });

        return now.GlobalSecondaryIndexes?.[0].IndexStatus === "ACTIVE" && now.TableStatus === "ACTIVE";
    });
    await refused(
        create("life"),
        sdk.ResourceInUseException,
        "Table already exists: life",
    );
    assert.deepEqual((await dynamodb.listTables({ ExclusiveStartTableName: "lif", Limit: 1 })).TableNames, ["life"]);
    await dynamodb.deleteTable({ TableName: "life" });
    await sdk.waitUntilTableNotExists({ client: dynamodb, maxWaitTime: 60 }, { TableName: "life" });
    await refused(
        dynamodb.describeTable({ TableName: "life" }),
        sdk.ResourceNotFoundException,
        "Requested resource not found: Table: life not found",
    );
    await refused(
        dynamodb.getItem({ TableName: "life", Key: { pk: S("a"), sk: N(1) } }),
        sdk.ResourceNotFoundException,
        "Requested resource not found",
    );
});

check("dynamodb: an item is put, got, changed and deleted", async () => {
    const TableName = "items";
    const Key = { pk: S("a"), sk: N("1") };

    await create(TableName);
    assert.equal((await dynamodb.getItem({ TableName, Key })).Item, undefined);
    await dynamodb.putItem({
        TableName,
        Item: { ...Key, n: N("01.50"), set: { SS: ["x", "y"] }, l: { L: [N(1), { NULL: true }] } },
        ConditionExpression: "attribute_not_exists(pk)",
    });

    const { Item: item } = await dynamodb.getItem({ TableName, Key, ConsistentRead: true });

    assert.deepEqual(item.n, N("1.5"));
    assert.deepEqual(item.l, { L: [N(1), { NULL: true }] });
    assert.deepEqual(item.set.SS.sort(), ["x", "y"]);

    const failed = await refused(
        dynamodb.putItem({
            TableName,
            Item: Key,
            ConditionExpression: "attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        }),
        sdk.ConditionalCheckFailedException,
        "The conditional request failed",
    );

    assert.deepEqual(failed.Item.n, N("1.5"));

    const updated = await dynamodb.updateItem({
        TableName,
        Key,
        UpdateExpression: "SET #n = #n + :one, l = list_append(l, :more), made = if_not_exists(made, :one) REMOVE nothing ADD hits :one DELETE #set :x",
        ConditionExpression: "#n BETWEEN :one AND :two AND size(l) = :two",
        ExpressionAttributeNames: { "#n": "n", "#set": "set" },
        ExpressionAttributeValues: {
            ":one": N(1),
            ":two": N(2),
            ":more": { L: [S("z")] },
            ":x": { SS: ["x"] },
        },
        ReturnValues: "ALL_NEW",
    });

    assert.deepEqual(updated.Attributes, {
        ...Key,
        n: N("2.5"),
        l: { L: [N(1), { NULL: true }, S("z")] },
        made: N(1),
        hits: N(1),
        set: { SS: ["y"] },
    });

    const legacy = await dynamodb.updateItem({
        TableName,
        Key,
        AttributeUpdates: { hits: { Action: "ADD", Value: N(4) }, made: { Action: "DELETE" } },
        Expected: { hits: { ComparisonOperator: "EQ", AttributeValueList: [N(1)] } },
        ReturnValues: "UPDATED_NEW",
    });

    assert.deepEqual(legacy.Attributes, { hits: N(5) });
    await refused(
        dynamodb.updateItem({
            TableName,
            Key,
            AttributeUpdates: { hits: { Action: "PUT", Value: N(0) } },
            Expected: { hits: { Value: N(1) } },
        }),
        sdk.ConditionalCheckFailedException,
    );

    const gone = await dynamodb.deleteItem({
        TableName,
        Key,
        ConditionExpression: "hits = :five",
        ExpressionAttributeValues: { ":five": N(5) },
        ReturnValues: "ALL_OLD",
    });

    assert.deepEqual(gone.Attributes.hits, N(5));
    assert.equal((await dynamodb.getItem({ TableName, Key })).Item, undefined);
});

check("dynamodb: what is wrong is told", async () => {
    const TableName = "wrong";
    const bad = (call, text) => refused(call, "ValidationException", text);

    await create(TableName);
    await bad(
        dynamodb.getItem({ TableName, Key: { pk: S("a") } }),
        "The provided key element does not match the schema",
    );
    await bad(
        dynamodb.putItem({ TableName, Item: { pk: S("a") } }),
        "One or more parameter values were invalid: Missing the key sk in the item",
    );
    await bad(
        dynamodb.putItem({ TableName, Item: { pk: S("a"), sk: N("x") } }),
        "The parameter cannot be converted to a numeric value: x",
    );
    await bad(
        dynamodb.updateItem({
            TableName,
            Key: { pk: S("a"), sk: N(1) },
            UpdateExpression: "SET a = :b",
        }),
        "Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :b",
    );
    await bad(
        dynamodb.updateItem({ TableName, Key: { pk: S("a"), sk: N(1) }, UpdateExpression: "SET a" }),
        /^Invalid UpdateExpression: Syntax error; token: "?<EOF>"?, near: "a"$/,
    );
    await bad(
        dynamodb.query({ TableName }),
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
    );
    await bad(
        dynamodb.scan({ TableName, TotalSegments: 2, Segment: 2 }),
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2",
    );
});

check("dynamodb: queries go over keys in order, with filter, index and pages", async () => {
    const TableName = "queries";

    await create(TableName, {
        AttributeDefinitions: [
            { AttributeName: "pk", AttributeType: "S" },
            { AttributeName: "sk", AttributeType: "N" },
            { AttributeName: "owner", AttributeType: "S" },
        ],
        GlobalSecondaryIndexes: [
            {
                IndexName: "by-owner",
                KeySchema: [
                    { AttributeName: "owner", KeyType: "HASH" },
                    { AttributeName: "sk", KeyType: "RANGE" },
                ],
                Projection: { ProjectionType: "KEYS_ONLY" },
            },
        ],
    });
    for (const sk of [10, 9, 2, 100, -5]) {
        const owner = sk > 5 ? { owner: S("w") } : {};

        await dynamodb.putItem({ TableName, Item: { pk: S("a"), sk: N(sk), even: { BOOL: sk % 2 === 0 }, ...owner } });
    }

    const query = {
        TableName,
        KeyConditionExpression: "pk = :a AND sk BETWEEN :low AND :high",
        ExpressionAttributeValues: { ":a": S("a"), ":low": N(-10), ":high": N(50) },
    };
    const keys = (answer) => answer.Items.map((item) => Number(item.sk.N));

    assert.deepEqual(keys(await dynamodb.query(query)), [-5, 2, 9, 10]);
    assert.deepEqual(keys(await dynamodb.query({ ...query, ScanIndexForward: false })), [10, 9, 2, -5]);

    const first = await dynamodb.query({ ...query, Limit: 3 });

    assert.deepEqual(keys(first), [-5, 2, 9]);
    assert.deepEqual(first.LastEvaluatedKey, { pk: S("a"), sk: N(9) });

    const second = await dynamodb.query({ ...query, ExclusiveStartKey: first.LastEvaluatedKey });

    assert.deepEqual(keys(second), [10]);
    assert.equal(second.LastEvaluatedKey, undefined);

    const filtered = await dynamodb.query({
        ...query,
        FilterExpression: "even = :yes",
        ExpressionAttributeValues: { ...query.ExpressionAttributeValues, ":yes": { BOOL: true } },
    });

    assert.deepEqual(keys(filtered), [2, 10]);
    assert.deepEqual([filtered.Count, filtered.ScannedCount], [2, 4]);

    const index = await dynamodb.query({
        TableName,
        IndexName: "by-owner",
        KeyConditionExpression: "#o = :w",
        ExpressionAttributeNames: { "#o": "owner" },
        ExpressionAttributeValues: { ":w": S("w") },
    });

    assert.deepEqual(index.Items, [
        { pk: S("a"), sk: N(9), owner: S("w") },
        { pk: S("a"), sk: N(10), owner: S("w") },
        { pk: S("a"), sk: N(100), owner: S("w") },
    ]);

    const legacy = await dynamodb.query({
        TableName,
        KeyConditions: {
            pk: { ComparisonOperator: "EQ", AttributeValueList: [S("a")] },
            sk: { ComparisonOperator: "GT", AttributeValueList: [N(9)] },
        },
        AttributesToGet: ["sk"],
    });

    assert.deepEqual(legacy.Items, [{ sk: N(10) }, { sk: N(100) }]);
});

check("dynamodb: a scan in segments and pages sees every item once", async () => {
    const TableName = "scans";
    const seen = [];

    await create(TableName);
    for (let i = 0; i < 4; i++) {
        const answer = await dynamodb.batchWriteItem({
            RequestItems: {
                [TableName]: Array.from({ length: 25 }, (_, j) => ({
                    PutRequest: { Item: { pk: S(`key ${i} ${j}`), sk: N(i * 25 + j) } },
                })),
            },
        });

        assert.deepEqual(answer.UnprocessedItems, {});
    }
    for (let Segment = 0; Segment < 3; Segment++) {
        let from;

        do {
            const page = await dynamodb.scan({
                TableName,
                Segment,
                TotalSegments: 3,
                Limit: 7,
                FilterExpression: "sk >= :ten",
                ExpressionAttributeValues: { ":ten": N(10) },
                ExclusiveStartKey: from,
            });

            seen.push(...page.Items.map((item) => Number(item.sk.N)));
            assert.ok(page.ScannedCount <= 7);
            from = page.LastEvaluatedKey;
        } while (from);
    }
    assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 90 }, (_, i) => i + 10));
    assert.equal((await dynamodb.scan({ TableName, Select: "COUNT" })).Count, 100);
});

check("dynamodb: batches and transactions", async () => {
    const TableName = "sets";
    const item = (pk, more = {}) => ({ pk: S(pk), sk: N(1), ...more });

    await create(TableName);
    await dynamodb.batchWriteItem({
        RequestItems: { [TableName]: ["a", "b", "c"].map((pk) => ({ PutRequest: { Item: item(pk) } })) },
    });
    await dynamodb.batchWriteItem({
        RequestItems: { [TableName]: [{ DeleteRequest: { Key: item("c") } }] },
    });

    const got = await dynamodb.batchGetItem({
        RequestItems: { [TableName]: { Keys: ["a", "b", "c"].map((pk) => item(pk)), ProjectionExpression: "pk" } },
    });

    assert.deepEqual(got.UnprocessedKeys, {});
    assert.deepEqual(got.Responses[TableName].map((i) => i.pk.S).sort(), ["a", "b"]);

    const write = (owner) => ({
        TransactItems: [
            { Put: { TableName, Item: item("d", { owner: S(owner) }), ConditionExpression: "attribute_not_exists(pk)" } },
            {
                Update: {
                    TableName,
                    Key: item("a"),
                    UpdateExpression: "SET v = :one",
                    ExpressionAttributeValues: { ":one": N(1) },
                },
            },
            { Delete: { TableName, Key: item("b") } },
            { ConditionCheck: { TableName, Key: item("c"), ConditionExpression: "attribute_not_exists(pk)" } },
        ],
    });

    await dynamodb.transactWriteItems(write("me"));

    const failed = await refused(
        dynamodb.transactWriteItems(write("other")),
        sdk.TransactionCanceledException,
        "Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed, None, None, None]",
    );

    assert.deepEqual(failed.CancellationReasons.map((r) => r.Code), ["ConditionalCheckFailed", "None", "None", "None"]);

    const all = await dynamodb.transactGetItems({
        TransactItems: ["a", "b", "d"].map((pk) => ({ Get: { TableName, Key: item(pk) } })),
    });

    assert.deepEqual(all.Responses[0].Item, item("a", { v: N(1) }));
    assert.equal(all.Responses[1].Item, undefined);
    assert.deepEqual(all.Responses[2].Item, item("d", { owner: S("me") }));
});

check("dynamodb: of many who race for one condition, one wins", async () => {
    const TableName = "race";
    const Key = { pk: S("lease"), sk: N(0) };

    await create(TableName);
    await dynamodb.putItem({ TableName, Item: { ...Key, counter: N(0) } });
    for (let round = 0; round < 5; round++) {
        const results = await Promise.allSettled(
            Array.from({ length: 20 }, (_, i) =>
                dynamodb.updateItem({
                    TableName,
                    Key,
                    UpdateExpression: "SET #c = #c + :one, #o = :me",
                    ConditionExpression: "#c = :old",
                    ExpressionAttributeNames: { "#c": "counter", "#o": "owner" },
                    ExpressionAttributeValues: { ":one": N(1), ":old": N(round), ":me": S(`w${i}`) },
                }),
            ),
        );
        const winners = results.flatMap((r, i) => (r.status === "fulfilled" ? [`w${i}`] : []));

        assert.equal(winners.length, 1);
        assert.ok(
            results.every((r) => r.status === "fulfilled" || r.reason instanceof sdk.ConditionalCheckFailedException),
        );
        assert.deepEqual((await dynamodb.getItem({ TableName, Key, ConsistentRead: true })).Item, {
            ...Key,
            counter: N(round + 1),
            owner: S(winners[0]),
        });
    }
});

check("dynamodb: time to live, backups, tags, limits and endpoints", async () => {
    const TableName = "kept";

    await create(TableName);
    assert.equal((await dynamodb.describeTimeToLive({ TableName })).TimeToLiveDescription.TimeToLiveStatus, "DISABLED");

    const ttl = await dynamodb.updateTimeToLive({
        TableName,
        TimeToLiveSpecification: { Enabled: true, AttributeName: "until" },
    });

    assert.deepEqual(ttl.TimeToLiveSpecification, { Enabled: true, AttributeName: "until" });

    const { TimeToLiveDescription: after } = await dynamodb.describeTimeToLive({ TableName });

    assert.match(after.TimeToLiveStatus, /^ENABL(ED|ING)$/);
    assert.equal(after.AttributeName, "until");

    const backups = await dynamodb.updateContinuousBackups({
        TableName,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    });

    assert.equal(
        backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus,
        "ENABLED",
    );
    assert.equal(
        (await dynamodb.describeContinuousBackups({ TableName })).ContinuousBackupsDescription.ContinuousBackupsStatus,
        "ENABLED",
    );
    await dynamodb.tagResource({
        ResourceArn: arnOf(TableName),
        Tags: [
            { Key: "a", Value: "1" },
            { Key: "b", Value: "2" },
        ],
    });
    await dynamodb.untagResource({ ResourceArn: arnOf(TableName), TagKeys: ["a"] });
    assert.deepEqual((await dynamodb.listTagsOfResource({ ResourceArn: arnOf(TableName) })).Tags, [
        { Key: "b", Value: "2" },
    ]);
    assert.ok((await dynamodb.describeLimits({})).AccountMaxReadCapacityUnits > 0);
    assert.ok((await dynamodb.describeEndpoints({})).Endpoints[0].Address);
});

check("dynamodb: plain JavaScript values make the round trip", async () => {
    const table = DynamoDBDocument.from(dynamodb, {
        marshallOptions: { removeUndefinedValues: true },
        unmarshallOptions: { wrapNumbers: (text) => (text.length > 15 ? NumberValue.from(text) : Number(text)) },
    });
    const item = {
        pk: "doc",
        sk: 1,
        text: "ü € 😀",
        empty: "",
        tiny: 1.5e-100,
        big: NumberValue.from("12345678901234567890123456789012345678"),
        raw: new Uint8Array([0, 1, 255]),
        no: false,
        nothing: null,
        map: { list: [1, "two", [], {}] },
        words: new Set(["a", "b"]),
        numbers: new Set([1, 2.5]),
    };

    await create("documents");
    await table.put({ TableName: "documents", Item: item });

    const { Item: got } = await table.get({ TableName: "documents", Key: { pk: "doc", sk: 1 } });

    assert.deepEqual(Number(got.tiny.value ?? got.tiny), 1.5e-100);
    assert.equal(got.big.value ?? String(got.big), "12345678901234567890123456789012345678");
    assert.deepEqual({ ...got, tiny: 0, big: 0, raw: [...got.raw] }, { ...item, tiny: 0, big: 0, raw: [0, 1, 255] });

    const updated = await table.update({
        TableName: "documents",
        Key: { pk: "doc", sk: 1 },
        UpdateExpression: "SET #m.#l[1] = :three, #t = :t",
        ExpressionAttributeNames: { "#m": "map", "#l": "list", "#t": "text" },
        ExpressionAttributeValues: { ":three": 3, ":t": "new" },
        ReturnValues: "UPDATED_NEW",
    });

    assert.deepEqual(updated.Attributes.text, "new");

    const { Items: items } = await table.query({
        TableName: "documents",
        KeyConditionExpression: "pk = :p",
        ProjectionExpression: "#m.#l",
        ExpressionAttributeNames: { "#m": "map", "#l": "list" },
        ExpressionAttributeValues: { ":p": "doc" },
    });

    assert.deepEqual(items, [{ map: { list: [1, 3, [], {}] } }]);
});

check("dynamodb: a wrong secret is refused", async () => {
    const other = local.client(sdk.DynamoDB, { credentials: { accessKeyId: "test", secretAccessKey: "wrong" } });

    await refused(other.listTables({}), "InvalidSignatureException");
});

check("dynamodb: items are there after kill -9", async () => {
    const TableName = "durable";
    const Item = { pk: S("a"), sk: N(1), data: S("x".repeat(300000)) };

    await create(TableName);
    await dynamodb.putItem({ TableName, Item });
    await local.crash();
    dynamodb = local.client(sdk.DynamoDB);
    assert.deepEqual((await dynamodb.getItem({ TableName, Key: { pk: Item.pk, sk: Item.sk } })).Item, Item);
});
