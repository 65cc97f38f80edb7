/* s3.test.mjs - S3 as the AWS SDK for JavaScript sees it. That client checks the checksum of each
 * whole object it gets, and sends streams as aws-chunked with the checksum in a trailer.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before } from "node:test";
import * as sdk from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { check, refused, startLocal } from "./lib.mjs";

const MIB = 1 << 20;
const md5 = (data) => createHash("md5").update(data).digest("hex");
const sha256 = (data) => createHash("sha256").update(data).digest("base64");

/* "123456789" */
const DIGITS = Buffer.from("123456789");
const CHECKSUMS = {
    CRC32: "y/Q5Jg==",
    CRC32C: "4waSgw==",
    CRC64NVME: "rosUhgp5mIg=",
    SHA1: createHash("sha1").update(DIGITS).digest("base64"),
    SHA256: sha256(DIGITS),
};

let local;
let s3;

before(async () => {
    local = await startLocal();
    s3 = local.client(sdk.S3, { forcePathStyle: true });
    await s3.createBucket({ Bucket: "depot" });
});
after(() => local.stop());

const put = (Key, Body, more = {}) => s3.putObject({ Bucket: "depot", Key, Body, ...more });
const get = (Key, more = {}) => s3.getObject({ Bucket: "depot", Key, ...more });
const head = (Key, more = {}) => s3.headObject({ Bucket: "depot", Key, ...more });

async function bodyOf(answer) {
    return Buffer.from(await (await answer).Body.transformToByteArray());
}

check("s3: buckets are created, found, listed and deleted", async () => {
    await s3.createBucket({ Bucket: "life" });
    await sdk.waitUntilBucketExists({ client: s3, maxWaitTime: 60 }, { Bucket: "life" });
    assert.equal((await s3.headBucket({ Bucket: "life" })).BucketRegion, "us-east-1");
    assert.equal((await s3.getBucketLocation({ Bucket: "life" })).LocationConstraint, undefined);

    const list = await s3.listBuckets({});

    assert.deepEqual(list.Buckets.map((b) => b.Name), ["depot", "life"]);
    assert.ok(Math.abs(list.Buckets[1].CreationDate - Date.now()) < 60000);
    await s3.putObject({ Bucket: "life", Key: "k", Body: "x" });
    await refused(s3.deleteBucket({ Bucket: "life" }), "BucketNotEmpty");
    await s3.deleteObject({ Bucket: "life", Key: "k" });
    await s3.deleteBucket({ Bucket: "life" });
    await sdk.waitUntilBucketNotExists({ client: s3, maxWaitTime: 60 }, { Bucket: "life" });
    await refused(s3.headBucket({ Bucket: "life" }), sdk.NotFound);
    await refused(s3.listObjectsV2({ Bucket: "life" }), sdk.NoSuchBucket, "The specified bucket does not exist");
    await refused(s3.createBucket({ Bucket: "Not_a_name" }), "InvalidBucketName");
});

check("s3: an object comes back with its headers, metadata and tags", async () => {
    const Key = "a b/ü+1 😀.txt";
    const answer = await put(Key, "0123456789", {
        ContentType: "text/plain; charset=utf-8",
        CacheControl: "no-cache",
        ContentDisposition: 'attachment; filename="x"',
        ContentLanguage: "de",
        Metadata: { colour: "blue" },
        Tagging: "a=1&b=two%20words",
    });

    assert.equal(answer.ETag, `"${md5("0123456789")}"`);

    const got = await get(Key);

    assert.equal(await got.Body.transformToString(), "0123456789");
    assert.equal(got.ETag, answer.ETag);
    assert.equal(got.ContentType, "text/plain; charset=utf-8");
    assert.equal(got.CacheControl, "no-cache");
    assert.equal(got.ContentDisposition, 'attachment; filename="x"');
    assert.equal(got.ContentLanguage, "de");
    assert.deepEqual(got.Metadata, { colour: "blue" });
    assert.equal(got.TagCount, 2);
    assert.ok(Math.abs(got.LastModified - Date.now()) < 60000);
    assert.equal((await head(Key)).ContentLength, 10);
    assert.equal(readFileSync(join(local.dir, "data/s3/depot", Key), "utf8"), "0123456789");

    const { TagSet } = await s3.getObjectTagging({ Bucket: "depot", Key });

    assert.deepEqual(TagSet, [
        { Key: "a", Value: "1" },
        { Key: "b", Value: "two words" },
    ]);
    await s3.putObjectTagging({ Bucket: "depot", Key, Tagging: { TagSet: [{ Key: "c", Value: "<3>" }] } });
    assert.deepEqual((await s3.getObjectTagging({ Bucket: "depot", Key })).TagSet, [{ Key: "c", Value: "<3>" }]);
    await s3.deleteObjectTagging({ Bucket: "depot", Key });
    assert.deepEqual((await s3.getObjectTagging({ Bucket: "depot", Key })).TagSet, []);

    const attributes = await s3.getObjectAttributes({
        Bucket: "depot",
        Key,
        ObjectAttributes: ["ETag", "ObjectSize", "StorageClass", "Checksum"],
    });

    assert.equal(attributes.ETag, md5("0123456789"));
    assert.equal(attributes.ObjectSize, 10);
    assert.ok(attributes.Checksum.ChecksumCRC32);
    await s3.deleteObject({ Bucket: "depot", Key });
    await refused(get(Key), sdk.NoSuchKey, "The specified key does not exist.");
    await refused(head(Key), sdk.NotFound);
    await s3.deleteObject({ Bucket: "depot", Key });
});

check("s3: ranges", async () => {
    await put("digits", "0123456789");
    for (const [Range, want, ContentRange] of [
        ["bytes=0-8", "012345678", "bytes 0-8/10"],
        ["bytes=1-", "123456789", "bytes 1-9/10"],
        ["bytes=-2", "89", "bytes 8-9/10"],
        ["bytes=-15", "0123456789", "bytes 0-9/10"],
        ["bytes=0-100", "0123456789", "bytes 0-9/10"],
        ["bytes=1-0", "0123456789", undefined],
    ]) {
        const answer = await get("digits", { Range });

        assert.equal(await answer.Body.transformToString(), want, Range);
        assert.equal(answer.ContentRange, ContentRange);
        assert.equal(answer.$metadata.httpStatusCode, ContentRange ? 206 : 200);
    }
    await refused(get("digits", { Range: "bytes=100-200" }), "InvalidRange", "The requested range is not satisfiable");
});

check("s3: conditional reads and writes", async () => {
    const { ETag } = await put("once", "first", { IfNoneMatch: "*" });

    await refused(put("once", "second", { IfNoneMatch: "*" }), "PreconditionFailed");
    await refused(put("once", "second", { IfMatch: '"0"' }), "PreconditionFailed");
    await refused(put("never", "x", { IfMatch: ETag }), sdk.NoSuchKey);
    assert.equal((await bodyOf(get("once", { IfMatch: ETag }))).toString(), "first");
    await refused(get("once", { IfMatch: '"0"' }), "PreconditionFailed");

    /* Without a body, which 304 has none of, this client knows no name for it. */
    const same = await refused(get("once", { IfNoneMatch: ETag }), "Unknown");

    assert.equal(same.$metadata.httpStatusCode, 304);
    await refused(get("once", { IfUnmodifiedSince: new Date(0) }), "PreconditionFailed");
    await put("once", "second", { IfMatch: ETag });
    assert.equal((await bodyOf(get("once"))).toString(), "second");

    const race = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) => put("race", `${i}`, { IfNoneMatch: "*" })),
    );

    assert.equal(race.filter((r) => r.status === "fulfilled").length, 1);
    assert.equal((await bodyOf(get("race"))).toString(), `${race.findIndex((r) => r.status === "fulfilled")}`);
});

check("s3: checksums of all kinds are checked and given back", async () => {
    for (const [ChecksumAlgorithm, value] of Object.entries(CHECKSUMS)) {
        const member = `Checksum${ChecksumAlgorithm}`;
        const answer = await put(`sum/${ChecksumAlgorithm}`, DIGITS, { ChecksumAlgorithm });

        assert.equal(answer[member], value, ChecksumAlgorithm);

        const got = await get(`sum/${ChecksumAlgorithm}`, { ChecksumMode: "ENABLED" });

        assert.equal(got[member], value);
        assert.equal(got.ChecksumType, "FULL_OBJECT");
        assert.deepEqual(await bodyOf(got), DIGITS);
        await refused(put("sum/bad", "123456788", { [member]: value }), "BadDigest");
    }
    await refused(head("sum/bad"), sdk.NotFound);
    await refused(put("sum/bad", "x", { ContentMD5: createHash("md5").update("y").digest("base64") }), "BadDigest");
    assert.equal((await head("sum/SHA1", { ChecksumMode: "ENABLED" })).ChecksumSHA1, CHECKSUMS.SHA1);
});

check("s3: a stream goes up in chunks with a checksum behind it", async () => {
    const data = randomBytes(3 * MIB + 17);

    for (const ChecksumAlgorithm of ["CRC32", "SHA256"]) {
        const answer = await put("stream", Readable.from([data.subarray(0, 9000), data.subarray(9000)]), {
            ContentLength: data.length,
            ContentEncoding: "gzip",
            ChecksumAlgorithm,
        });

        assert.equal(answer.ETag, `"${md5(data)}"`);

        const got = await get("stream");

        assert.equal(got.ContentEncoding, "gzip");
        assert.equal(got.ContentLength, data.length);
        assert.ok(data.equals(await bodyOf(got)));
    }
    assert.equal((await head("stream", { ChecksumMode: "ENABLED" })).ChecksumSHA256, sha256(data));
    await refused(
        put("stream", Readable.from([data.subarray(0, 8191), data.subarray(8191)]), { ContentLength: data.length }),
        "InvalidChunkSizeError",
    );
});

check("s3: listings with prefix, delimiter and pages", async () => {
    const Bucket = "lists";
    const keys = ["a/1", "a/2", "b", "c/d/e", "ä <&>", "z"];

    await s3.createBucket({ Bucket });
    for (const Key of keys) {
        await s3.putObject({ Bucket, Key, Body: Key });
    }

    const sorted = [...keys].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    const all = await s3.listObjectsV2({ Bucket });

    assert.deepEqual(all.Contents.map((o) => o.Key), sorted);
    assert.equal(all.KeyCount, 6);
    assert.equal(all.Contents[0].ETag, `"${md5("a/1")}"`);
    assert.equal(all.Contents[0].Size, 3);

    const found = [];

    for await (const page of sdk.paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, Delimiter: "/" })) {
        assert.ok(page.KeyCount <= 2);
        found.push(...(page.Contents ?? []).map((o) => o.Key), ...(page.CommonPrefixes ?? []).map((p) => p.Prefix));
    }
    assert.deepEqual(found.sort(), ["a/", "b", "c/", "z", "ä <&>"]);

    const part = await s3.listObjectsV2({ Bucket, Prefix: "a/", StartAfter: "a/1" });

    assert.deepEqual(part.Contents.map((o) => o.Key), ["a/2"]);

    const old = await s3.listObjects({ Bucket, MaxKeys: 2, Delimiter: "/" });

    assert.deepEqual(old.CommonPrefixes.map((p) => p.Prefix), ["a/"]);
    assert.deepEqual(old.Contents.map((o) => o.Key), ["b"]);
    assert.equal(old.IsTruncated, true);
    assert.equal(old.NextMarker, "b");
    assert.deepEqual((await s3.listObjects({ Bucket, Marker: old.NextMarker, Delimiter: "/" })).CommonPrefixes.map((p) => p.Prefix), ["c/"]);
    assert.deepEqual((await s3.listObjectVersions({ Bucket, Prefix: "a/" })).Versions.map((v) => [v.Key, v.VersionId, v.IsLatest]), [
        ["a/1", "null", true],
        ["a/2", "null", true],
    ]);

    const gone = await s3.deleteObjects({
        Bucket,
        Delete: { Objects: [...keys, "not there"].map((Key) => ({ Key })) },
    });

    assert.equal(gone.Deleted.length, 7);
    assert.equal(gone.Errors, undefined);
    assert.equal((await s3.listObjectsV2({ Bucket })).KeyCount, 0);
});

check("s3: copies keep or replace what belongs to an object", async () => {
    await put("source ü", "copy me", { ContentType: "text/x", Metadata: { a: "1" }, Tagging: "t=1" });

    const CopySource = encodeURI("depot/source ü");
    const answer = await s3.copyObject({ Bucket: "depot", Key: "copied", CopySource });

    assert.equal(answer.CopyObjectResult.ETag, `"${md5("copy me")}"`);

    const got = await get("copied");

    assert.equal(await got.Body.transformToString(), "copy me");
    assert.equal(got.ContentType, "text/x");
    assert.deepEqual(got.Metadata, { a: "1" });
    assert.equal(got.TagCount, 1);
    await s3.copyObject({
        Bucket: "depot",
        Key: "copied",
        CopySource,
        MetadataDirective: "REPLACE",
        Metadata: { b: "2" },
        ContentType: "text/y",
    });
    assert.deepEqual((await head("copied")).Metadata, { b: "2" });
    assert.equal((await head("copied")).ContentType, "text/y");
    await refused(
        s3.copyObject({ Bucket: "depot", Key: "copied", CopySource, CopySourceIfMatch: '"0"' }),
        "PreconditionFailed",
    );
    await refused(s3.copyObject({ Bucket: "depot", Key: "copied", CopySource: "depot/nothing" }), sdk.NoSuchKey);
    await refused(
        s3.copyObject({ Bucket: "depot", Key: "copied", CopySource: "depot/copied" }),
        "InvalidRequest",
        /^This copy request is illegal because it is trying to copy an object to itself/,
    );
});

check("s3: an upload in parts, with the checksum of each", async () => {
    const parts = [randomBytes(5 * MIB), randomBytes(5 * MIB), randomBytes(100)];
    const Key = "parts";
    const { UploadId, ChecksumAlgorithm } = await s3.createMultipartUpload({
        Bucket: "depot",
        Key,
        ChecksumAlgorithm: "SHA256",
        ContentType: "text/parts",
        Metadata: { m: "1" },
    });
    const done = [];

    assert.equal(ChecksumAlgorithm, "SHA256");
    for (const [i, Body] of parts.entries()) {
        const answer = await s3.uploadPart({
            Bucket: "depot",
            Key,
            UploadId,
            PartNumber: i + 1,
            Body,
            ChecksumAlgorithm: "SHA256",
        });

        assert.equal(answer.ETag, `"${md5(Body)}"`);
        assert.equal(answer.ChecksumSHA256, sha256(Body));
        done.push({ PartNumber: i + 1, ETag: answer.ETag, ChecksumSHA256: answer.ChecksumSHA256 });
    }

    const list = await s3.listParts({ Bucket: "depot", Key, UploadId, MaxParts: 2 });

    assert.deepEqual(list.Parts.map(({ PartNumber, ETag, Size }) => ({ PartNumber, ETag, Size })), [
        { PartNumber: 1, ETag: done[0].ETag, Size: 5 * MIB },
        { PartNumber: 2, ETag: done[1].ETag, Size: 5 * MIB },
    ]);
    assert.equal(list.IsTruncated, true);
    assert.deepEqual(
        (await s3.listMultipartUploads({ Bucket: "depot" })).Uploads.map((u) => [u.Key, u.UploadId]),
        [[Key, UploadId]],
    );

    const complete = (Parts) =>
        s3.completeMultipartUpload({ Bucket: "depot", Key, UploadId, MultipartUpload: { Parts } });

    await refused(complete([done[1], done[0]]), "InvalidPartOrder");
    await refused(complete([{ ...done[0], ETag: '"0"' }]), "InvalidPart");
    await refused(complete([done[0], done[2], { ...done[2], PartNumber: 4 }]), "InvalidPart");

    const answer = await complete(done);
    const raw = (sums) => Buffer.concat(sums);

    assert.equal(answer.ETag, `"${md5(raw(parts.map((p) => createHash("md5").update(p).digest())))}-3"`);
    assert.equal(answer.ChecksumSHA256, `${sha256(raw(parts.map((p) => createHash("sha256").update(p).digest())))}-3`);
    assert.equal(answer.ChecksumType, "COMPOSITE");

    const got = await get(Key);

    assert.equal(got.ContentType, "text/parts");
    assert.deepEqual(got.Metadata, { m: "1" });
    assert.ok(Buffer.concat(parts).equals(await bodyOf(got)));

    const second = await get(Key, { PartNumber: 3 });

    assert.equal(second.PartsCount, 3);
    assert.equal(second.ContentRange, `bytes ${10 * MIB}-${10 * MIB + 99}/${10 * MIB + 100}`);
    assert.ok(parts[2].equals(await bodyOf(second)));
    assert.equal((await s3.listMultipartUploads({ Bucket: "depot" })).Uploads, undefined);
});

check("s3: an upload in parts with one checksum over all, and one that is given up", async () => {
    const data = randomBytes(11 * MIB);
    const upload = new Upload({
        client: s3,
        params: { Bucket: "depot", Key: "uploaded", Body: Readable.from([data]), ChecksumAlgorithm: "CRC64NVME" },
        partSize: 5 * MIB,
        queueSize: 3,
    });
    const answer = await upload.done();

    assert.match(answer.ETag, /^"[0-9a-f]{32}-3"$/);

    const got = await get("uploaded", { ChecksumMode: "ENABLED" });

    assert.equal(got.ChecksumType, "FULL_OBJECT");
    assert.ok(data.equals(await bodyOf(got)));
    assert.equal(got.ChecksumCRC64NVME, (await put("whole", data, { ChecksumAlgorithm: "CRC64NVME" })).ChecksumCRC64NVME);

    const { UploadId } = await s3.createMultipartUpload({ Bucket: "depot", Key: "never" });
    const copied = await s3.uploadPartCopy({
        Bucket: "depot",
        Key: "never",
        UploadId,
        PartNumber: 1,
        CopySource: "depot/uploaded",
        CopySourceRange: "bytes=0-99",
    });

    assert.equal(copied.CopyPartResult.ETag, `"${md5(data.subarray(0, 100))}"`);
    await s3.uploadPart({ Bucket: "depot", Key: "never", UploadId, PartNumber: 2, Body: "x" });
    await refused(
        s3.completeMultipartUpload({
            Bucket: "depot",
            Key: "never",
            UploadId,
            MultipartUpload: {
                Parts: [
                    { PartNumber: 1, ETag: copied.CopyPartResult.ETag },
                    { PartNumber: 2, ETag: md5("x") },
                ],
            },
        }),
        "EntityTooSmall",
    );
    await s3.abortMultipartUpload({ Bucket: "depot", Key: "never", UploadId });
    await refused(s3.listParts({ Bucket: "depot", Key: "never", UploadId }), sdk.NoSuchUpload);
    await refused(head("never"), sdk.NotFound);
});

check("s3: more documents of a bucket, each with what it is without one", async () => {
    const Bucket = "documents";
    const all = { BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true };

    await s3.createBucket({ Bucket });
    await refused(s3.getPublicAccessBlock({ Bucket }), "NoSuchPublicAccessBlockConfiguration");
    await s3.putPublicAccessBlock({ Bucket, PublicAccessBlockConfiguration: all });
    assert.deepEqual((await s3.getPublicAccessBlock({ Bucket })).PublicAccessBlockConfiguration, all);
    await s3.deletePublicAccessBlock({ Bucket });

    await refused(s3.getBucketOwnershipControls({ Bucket }), "OwnershipControlsNotFoundError");
    await s3.putBucketOwnershipControls({
        Bucket,
        OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
    });
    assert.equal(
        (await s3.getBucketOwnershipControls({ Bucket })).OwnershipControls.Rules[0].ObjectOwnership,
        "BucketOwnerEnforced",
    );
    await s3.deleteBucketOwnershipControls({ Bucket });

    await refused(s3.getBucketWebsite({ Bucket }), "NoSuchWebsiteConfiguration");
    await s3.putBucketWebsite({ Bucket, WebsiteConfiguration: { IndexDocument: { Suffix: "index.html" } } });
    assert.equal((await s3.getBucketWebsite({ Bucket })).IndexDocument.Suffix, "index.html");
    await s3.deleteBucketWebsite({ Bucket });

    const Rules = [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms" }, BucketKeyEnabled: true }];

    await s3.putBucketEncryption({ Bucket, ServerSideEncryptionConfiguration: { Rules } });
    assert.deepEqual((await s3.getBucketEncryption({ Bucket })).ServerSideEncryptionConfiguration.Rules[0]
        .ApplyServerSideEncryptionByDefault, Rules[0].ApplyServerSideEncryptionByDefault);
    await s3.deleteBucketEncryption({ Bucket });
    assert.equal((await s3.getBucketLogging({ Bucket })).LoggingEnabled, undefined);
    await s3.putBucketLogging({ Bucket, BucketLoggingStatus: { LoggingEnabled: { TargetBucket: Bucket, TargetPrefix: "log/" } } });
    assert.equal((await s3.getBucketLogging({ Bucket })).LoggingEnabled.TargetPrefix, "log/");
    await s3.putBucketNotificationConfiguration({ Bucket, NotificationConfiguration: {} });
    assert.equal((await s3.getBucketNotificationConfiguration({ Bucket })).QueueConfigurations, undefined);
    await s3.putBucketAccelerateConfiguration({ Bucket, AccelerateConfiguration: { Status: "Suspended" } });
    assert.equal((await s3.getBucketAccelerateConfiguration({ Bucket })).Status, "Suspended");
    await s3.putBucketRequestPayment({ Bucket, RequestPaymentConfiguration: { Payer: "Requester" } });
    assert.equal((await s3.getBucketRequestPayment({ Bucket })).Payer, "Requester");
    await s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Suspended" } });
    assert.equal((await s3.getBucketVersioning({ Bucket })).Status, "Suspended");
    await refused(
        s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Enabled" } }),
        "NotImplemented",
    );
    assert.equal((await s3.getBucketPolicyStatus({ Bucket }).catch((e) => e)).name, "NoSuchBucketPolicy");
    await s3.putBucketPolicy({ Bucket, Policy: JSON.stringify({ Version: "2012-10-17", Statement: [] }) });
    assert.equal((await s3.getBucketPolicyStatus({ Bucket })).PolicyStatus.IsPublic, false);
});

check("s3: documents of a bucket are stored and given back", async () => {
    const Bucket = "configured";
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [] });
    const LifecycleConfiguration = {
        Rules: [{ ID: "old", Status: "Enabled", Filter: { Prefix: "logs/" }, Expiration: { Days: 30 } }],
    };
    const TagSet = [{ Key: "team", Value: "taxi" }];
    const CORSConfiguration = { CORSRules: [{ AllowedMethods: ["GET"], AllowedOrigins: ["*"] }] };

    await s3.createBucket({ Bucket });
    await refused(s3.getBucketPolicy({ Bucket }), "NoSuchBucketPolicy", "The bucket policy does not exist");
    await s3.putBucketPolicy({ Bucket, Policy });
    assert.deepEqual(JSON.parse((await s3.getBucketPolicy({ Bucket })).Policy), JSON.parse(Policy));
    await s3.deleteBucketPolicy({ Bucket });
    await refused(s3.getBucketPolicy({ Bucket }), "NoSuchBucketPolicy");

    await refused(s3.getBucketLifecycleConfiguration({ Bucket }), "NoSuchLifecycleConfiguration");
    await s3.putBucketLifecycleConfiguration({ Bucket, LifecycleConfiguration });
    assert.deepEqual((await s3.getBucketLifecycleConfiguration({ Bucket })).Rules, LifecycleConfiguration.Rules);
    await s3.deleteBucketLifecycle({ Bucket });
    await refused(s3.getBucketLifecycleConfiguration({ Bucket }), "NoSuchLifecycleConfiguration");

    await s3.putBucketTagging({ Bucket, Tagging: { TagSet } });
    assert.deepEqual((await s3.getBucketTagging({ Bucket })).TagSet, TagSet);
    await s3.deleteBucketTagging({ Bucket });
    await refused(s3.getBucketTagging({ Bucket }), "NoSuchTagSet", "The TagSet does not exist");

    await s3.putBucketCors({ Bucket, CORSConfiguration });
    assert.deepEqual((await s3.getBucketCors({ Bucket })).CORSRules, CORSConfiguration.CORSRules);
    await s3.deleteBucketCors({ Bucket });
    await refused(s3.getBucketCors({ Bucket }), "NoSuchCORSConfiguration");

    assert.equal((await s3.getBucketVersioning({ Bucket })).Status, undefined);
    assert.equal(
        (await s3.getBucketEncryption({ Bucket })).ServerSideEncryptionConfiguration.Rules[0]
            .ApplyServerSideEncryptionByDefault.SSEAlgorithm,
        "AES256",
    );
    assert.equal((await s3.getBucketAcl({ Bucket })).Grants[0].Permission, "FULL_CONTROL");
    await s3.putBucketAcl({ Bucket, ACL: "private" });

    const { Owner, Grants } = await s3.getBucketAcl({ Bucket });

    await s3.putBucketAcl({ Bucket, AccessControlPolicy: { Owner, Grants } });
    assert.deepEqual((await s3.getBucketAcl({ Bucket })).Grants, Grants);
    await s3.putObject({ Bucket, Key: "k", Body: "x" });
    await s3.putObjectAcl({ Bucket, Key: "k", ACL: "private" });
    assert.equal((await s3.getObjectAcl({ Bucket, Key: "k" })).Grants[0].Permission, "FULL_CONTROL");
    assert.equal((await s3.getBucketRequestPayment({ Bucket })).Payer, "BucketOwner");
});

/* What a plain HTTP client gets for an URL. */
async function fetched(url, options = undefined) {
    const answer = await fetch(url, options);

    return { status: answer.status, body: await answer.text() };
}

check("s3: a presigned URL is enough to get and to put, until it is changed", async () => {
    await put("signed ü", "open");

    const url = await getSignedUrl(s3, new sdk.GetObjectCommand({ Bucket: "depot", Key: "signed ü" }), { expiresIn: 60 });

    assert.deepEqual(await fetched(url), { status: 200, body: "open" });
    assert.equal((await fetched(url.replace(/X-Amz-Expires=60/, "X-Amz-Expires=61"))).status, 403);

    /* It would sign the checksum of an empty body, which S3 refuses with any other. */
    const plain = local.client(sdk.S3, { forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
    const up = await getSignedUrl(plain, new sdk.PutObjectCommand({ Bucket: "depot", Key: "sent" }), { expiresIn: 60 });

    assert.equal((await fetched(up, { method: "PUT", body: "by hand" })).status, 200);
    assert.equal((await bodyOf(get("sent"))).toString(), "by hand");

    const old = await getSignedUrl(s3, new sdk.GetObjectCommand({ Bucket: "depot", Key: "sent" }), {
        expiresIn: 1,
        signingDate: new Date(Date.now() - 60000),
    });
    const late = await fetched(old);

    assert.equal(late.status, 403);
    assert.match(late.body, /<Code>AccessDenied<\/Code><Message>Request has expired<\/Message>/);
    assert.equal((await fetched(`${local.url}/depot/sent`)).status, 403);
});

check("s3: the name of a bucket may stand in the host", async () => {
    const { port } = new URL(local.url);
    const lookup = (host, options, done) =>
        options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
    const virtual = local.client(sdk.S3, {
        endpoint: `http://localhost:${port}`,
        requestHandler: new NodeHttpHandler({ httpAgent: new http.Agent({ lookup }) }),
    });
    const seen = [];

    virtual.middlewareStack.add((next) => (args) => (seen.push(args.request.hostname), next(args)), {
        step: "finalizeRequest",
        name: "seeHost",
        priority: "low",
    });
    await virtual.putObject({ Bucket: "depot", Key: "by/host", Body: "x" });

    const answer = await virtual.getObject({ Bucket: "depot", Key: "by/host" });

    assert.equal(await answer.Body.transformToString(), "x");
    assert.deepEqual(seen, ["depot.localhost", "depot.localhost"]);
    assert.equal((await bodyOf(get("by/host"))).toString(), "x");
});

check("s3: a wrong secret is refused", async () => {
    const other = local.client(sdk.S3, {
        forcePathStyle: true,
        credentials: { accessKeyId: "test", secretAccessKey: "wrong" },
    });

    await refused(other.listBuckets({}), "SignatureDoesNotMatch");
    await refused(other.putObject({ Bucket: "depot", Key: "x", Body: "x" }), "SignatureDoesNotMatch");
});

check("s3: objects and parts are there after kill -9", async () => {
    const part = randomBytes(5 * MIB);
    const { UploadId } = await s3.createMultipartUpload({ Bucket: "depot", Key: "resumed" });
    const { ETag } = await s3.uploadPart({ Bucket: "depot", Key: "resumed", UploadId, PartNumber: 1, Body: part });

    await put("durable", "x", { Metadata: { kept: "yes" } });
    await local.crash();
    s3 = local.client(sdk.S3, { forcePathStyle: true });

    const got = await get("durable");

    assert.equal(await got.Body.transformToString(), "x");
    assert.deepEqual(got.Metadata, { kept: "yes" });

    const last = await s3.uploadPart({ Bucket: "depot", Key: "resumed", UploadId, PartNumber: 2, Body: "end" });

    await s3.completeMultipartUpload({
        Bucket: "depot",
        Key: "resumed",
        UploadId,
        MultipartUpload: {
            Parts: [
                { PartNumber: 1, ETag },
                { PartNumber: 2, ETag: last.ETag },
            ],
        },
    });
    assert.ok(Buffer.concat([part, Buffer.from("end")]).equals(await bodyOf(get("resumed"))));
});
