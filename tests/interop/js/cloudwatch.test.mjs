/* cloudwatch.test.mjs - what is put to CloudWatch can be read back, with the AWS SDK for JavaScript. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import * as sdk from "@aws-sdk/client-cloudwatch";
import { check, refused, startLocal } from "./lib.mjs";

const MINUTE = 60000;

let local;
let cloudwatch;
let minute; /* one that has ended */

before(async () => {
    local = await startLocal();
    cloudwatch = local.client(sdk.CloudWatch);
    minute = new Date(Math.floor(Date.now() / MINUTE) * MINUTE - 5 * MINUTE);
});
after(() => local.stop());

const at = (minutes, seconds = 0) => new Date(minute.getTime() + minutes * MINUTE + seconds * 1000);
const Dimensions = [{ Name: "Stream", Value: "trips" }];

function put(...MetricData) {
    return cloudwatch.putMetricData({ Namespace: "kpipe", MetricData });
}

function series(Id, Stat, more = {}) {
    return {
        Id,
        MetricStat: {
            Metric: { Namespace: "kpipe", MetricName: "Records", Dimensions, ...more },
            Period: 60,
            Stat,
        },
    };
}

check("cloudwatch: values, sets of values and statistics add up per minute", async () => {
    await put(
        { MetricName: "Records", Dimensions, Timestamp: at(0), Value: 1, Unit: "Count" },
        { MetricName: "Records", Dimensions, Timestamp: at(0, 59), Value: 3, Unit: "Count" },
        { MetricName: "Records", Dimensions, Timestamp: at(1), Values: [10, 20], Counts: [2, 1], Unit: "Count" },
        {
            MetricName: "Records",
            Dimensions,
            Timestamp: at(2),
            StatisticValues: { SampleCount: 4, Sum: 100, Minimum: 5, Maximum: 50 },
            Unit: "Count",
        },
        { MetricName: "Records", Timestamp: at(0), Value: 1000, Unit: "Count" },
    );

    const answer = await cloudwatch.getMetricData({
        MetricDataQueries: [
            series("sum", "Sum"),
            series("n", "SampleCount"),
            series("low", "Minimum"),
            series("high", "Maximum"),
            series("mean", "Average"),
            series("other", "Sum", { Dimensions: [] }),
            series("nothing", "Sum", { MetricName: "None" }),
        ],
        StartTime: at(0),
        EndTime: at(3),
        ScanBy: "TimestampAscending",
    });
    const values = Object.fromEntries(answer.MetricDataResults.map((r) => [r.Id, r.Values]));

    assert.deepEqual(values, {
        sum: [4, 40, 100],
        n: [2, 3, 4],
        low: [1, 10, 5],
        high: [3, 20, 50],
        mean: [2, 40 / 3, 25],
        other: [1000],
        nothing: [],
    });
    assert.deepEqual(answer.MetricDataResults[0].Timestamps, [at(0), at(1), at(2)]);
    assert.ok(answer.MetricDataResults.every((r) => r.StatusCode === "Complete"));
    assert.equal(answer.MetricDataResults[0].Label, "Records");

    const down = await cloudwatch.getMetricData({
        MetricDataQueries: [series("sum", "Sum")],
        StartTime: at(1),
        EndTime: at(2),
    });

    assert.deepEqual(down.MetricDataResults[0].Values, [40]);
});

check("cloudwatch: statistics of one metric", async () => {
    await put({ MetricName: "Latency", Timestamp: at(0), Values: [1, 2, 3, 4], Unit: "Milliseconds" });

    const answer = await cloudwatch.getMetricStatistics({
        Namespace: "kpipe",
        MetricName: "Latency",
        StartTime: at(0),
        EndTime: at(5),
        Period: 300,
        Statistics: ["Sum", "Average", "SampleCount", "Minimum", "Maximum"],
    });

    assert.equal(answer.Label, "Latency");
    assert.deepEqual(answer.Datapoints.length, 1);

    const { Sum, Average, SampleCount, Minimum, Maximum, Unit } = answer.Datapoints[0];

    assert.deepEqual([Sum, Average, SampleCount, Minimum, Maximum, Unit], [10, 2.5, 4, 1, 4, "Milliseconds"]);
});

check("cloudwatch: metrics are listed by name and dimension", async () => {
    await cloudwatch.putMetricData({
        Namespace: "lists",
        MetricData: [
            { MetricName: "A", Dimensions: [{ Name: "x", Value: "1" }], Value: 1 },
            { MetricName: "A", Dimensions: [{ Name: "x", Value: "2" }], Value: 1 },
            { MetricName: "B", Value: 1 },
        ],
    });

    const list = async (more) =>
        (await cloudwatch.listMetrics({ Namespace: "lists", ...more })).Metrics.map(
            (m) => m.MetricName + (m.Dimensions ?? []).map((d) => d.Value).join(),
        ).sort();

    assert.deepEqual(await list({}), ["A1", "A2", "B"]);
    assert.deepEqual(await list({ MetricName: "A" }), ["A1", "A2"]);
    assert.deepEqual(await list({ Dimensions: [{ Name: "x", Value: "2" }] }), ["A2"]);
    assert.deepEqual(await list({ Dimensions: [{ Name: "x" }] }), ["A1", "A2"]);
});

check("cloudwatch: a large request comes compressed", async () => {
    const MetricData = Array.from({ length: 500 }, (_, i) => ({
        MetricName: `M${i}`,
        Dimensions,
        Timestamp: at(0),
        Value: i,
    }));

    await cloudwatch.putMetricData({ Namespace: "large", MetricData });

    const answer = await cloudwatch.getMetricData({
        MetricDataQueries: [series("last", "Sum", { Namespace: "large", MetricName: "M499" })],
        StartTime: at(0),
        EndTime: at(1),
    });

    assert.deepEqual(answer.MetricDataResults[0].Values, [499]);
});

check("cloudwatch: alarms are kept", async () => {
    const alarm = {
        AlarmName: "late",
        Namespace: "kpipe",
        MetricName: "Latency",
        Statistic: "Average",
        Period: 60,
        EvaluationPeriods: 3,
        Threshold: 1.5,
        ComparisonOperator: "GreaterThanThreshold",
        Dimensions,
    };

    await cloudwatch.putMetricAlarm(alarm);

    const { MetricAlarms } = await cloudwatch.describeAlarms({ AlarmNamePrefix: "la" });

    assert.equal(MetricAlarms.length, 1);
    assert.equal(MetricAlarms[0].StateValue, "INSUFFICIENT_DATA");
    assert.match(MetricAlarms[0].AlarmArn, /:alarm:late$/);
    for (const [name, value] of Object.entries(alarm)) {
        assert.deepEqual(MetricAlarms[0][name], value, name);
    }
    await cloudwatch.deleteAlarms({ AlarmNames: ["late"] });
    assert.deepEqual((await cloudwatch.describeAlarms({})).MetricAlarms, []);
});

check("cloudwatch: what is wrong is told", async () => {
    const datum = { MetricName: "X", Value: 1 };

    await refused(
        put({ ...datum, StatisticValues: { SampleCount: 1, Sum: 1, Minimum: 1, Maximum: 1 } }),
        sdk.InvalidParameterCombinationException,
        "The parameters MetricData.member.1.Value and MetricData.member.1.StatisticValues are mutually exclusive and you have specified both.",
    );
    await refused(
        put({ MetricName: "X", Values: [1, 2], Counts: [1] }),
        sdk.InvalidParameterValueException,
        "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.",
    );

    const other = local.client(sdk.CloudWatch, { credentials: { accessKeyId: "test", secretAccessKey: "wrong" } });

    const error = await refused(other.listMetrics({}), "InvalidSignatureException");

    assert.equal(error.Code, "SignatureDoesNotMatch");
});
