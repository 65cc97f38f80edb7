"""sdk_s3.py URL first|again - S3 and STS with boto3, and presigned requests and forms by plain HTTP: every
operation with its answer, signatures verified.
"""

import base64
import hashlib
import http.client
import io
import json
import sys
import urllib.parse
import uuid

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from checks import CONFIG, URL, check, client, main, refused

CONFIG = CONFIG.merge(Config(signature_version="s3v4"))
s3 = boto3.client("s3", endpoint_url=URL, config=CONFIG)
HOST = urllib.parse.urlsplit(URL).netloc
MIB = 1 << 20


def made(name):
    """A bucket of that name. Gives the arguments that name it."""
    s3.create_bucket(Bucket=name)
    return {"Bucket": name}


def with_headers(headers):
    """A client that adds headers, for what an older boto3 does not know yet."""
    config = CONFIG
    try:  # a newer boto3 adds a checksum by itself, and one is enough
        config = config.merge(Config(request_checksum_calculation="when_required"))
    except TypeError:
        pass
    other = boto3.client("s3", endpoint_url=URL, config=config)
    other.meta.events.register(
        "before-call.s3", lambda params, **_: params["headers"].update(headers)
    )
    return other


def headers_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]


def md5(data):
    return '"%s"' % hashlib.md5(data).hexdigest()


def plain(method, url, body=b"", headers={}):
    """A request by nobody in particular. Gives status, headers and body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    target = parts.path + ("?" + parts.query if parts.query else "")
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    result = answer.status, answer.headers, answer.read()
    connection.close()
    return result


def code_of(body):
    return body.decode().split("<Code>")[1].split("</Code>")[0]


@check("first")
def buckets():
    "s3: buckets are made, found, listed and removed"
    for name in ("py-b1", "py-b2", "py-b3"):
        made(name)
    assert headers_of(s3.head_bucket(Bucket="py-b1"))["x-amz-bucket-region"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="py-b1")["LocationConstraint"] is None
    names = [b["Name"] for b in s3.list_buckets()["Buckets"] if b["Name"].startswith("py-b")]
    assert names == ["py-b1", "py-b2", "py-b3"], names
    s3.delete_bucket(Bucket="py-b3")
    refused("404", s3.head_bucket, Bucket="py-b3")
    refused("NoSuchBucket", s3.list_objects_v2, Bucket="py-b3")
    refused("InvalidBucketName", s3.create_bucket, Bucket="192.168.1.1")
    s3.put_object(Bucket="py-b2", Key="full", Body=b"")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket="py-b2")
    west = boto3.client("s3", endpoint_url=URL, config=CONFIG, region_name="eu-west-1")
    constraint = {"LocationConstraint": "eu-west-1"}
    west.create_bucket(Bucket="py-west", CreateBucketConfiguration=constraint)
    assert west.get_bucket_location(Bucket="py-west")["LocationConstraint"] == "eu-west-1"
    refused(
        "BucketAlreadyOwnedByYou",
        west.create_bucket,
        Bucket="py-west",
        CreateBucketConfiguration=constraint,
    )
    refused("IllegalLocationConstraintException", west.create_bucket, Bucket="py-nowhere")


@check("first")
def virtual_hosts():
    "s3: a bucket in the host is the bucket of the path"
    here = made("py-virtual")
    s3.put_object(**here, Key="a/b c", Body=b"same")
    target = s3.generate_presigned_url("get_object", Params={"Key": "a/b c", **here})
    assert plain("GET", target)[2] == b"same"
    port = HOST.rsplit(":", 1)[1]
    for host in ("localhost", "s3.localhost", "s3.us-east-1.localhost"):
        virtual = boto3.client(
            "s3",
            endpoint_url="http://%s:%s" % (host, port),
            config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
        )
        url = virtual.generate_presigned_url("get_object", Params={"Key": "a/b c", **here})
        name = urllib.parse.urlsplit(url).netloc
        assert name == "py-virtual.%s:%s" % (host, port), name
        # The name need not resolve here: the address is asked with that name.
        answer = plain("GET", url.replace(name, HOST), headers={"Host": name})
        assert answer[2] == b"same", answer


@check("first")
def documents():
    "s3: documents of a bucket come back, and their absence has its own error"
    here = made("py-docs")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 1}}
    policy = {"Version": "2012-10-17", "Statement": []}
    cases = [
        ("lifecycle_configuration", "NoSuchLifecycleConfiguration", "bucket_lifecycle",
         {"LifecycleConfiguration": {"Rules": [rule]}}, lambda a: a["Rules"] == [rule]),
        ("tagging", "NoSuchTagSet", "bucket_tagging",
         {"Tagging": {"TagSet": [{"Key": "k", "Value": "v w"}]}},
         lambda a: a["TagSet"] == [{"Key": "k", "Value": "v w"}]),
        ("cors", "NoSuchCORSConfiguration", "bucket_cors",
         {"CORSConfiguration": {"CORSRules": [
             {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}},
         lambda a: a["CORSRules"][0]["AllowedMethods"] == ["GET"]),
        ("policy", "NoSuchBucketPolicy", "bucket_policy", {"Policy": json.dumps(policy)},
         lambda a: json.loads(a["Policy"]) == policy),
        ("website", "NoSuchWebsiteConfiguration", "bucket_website",
         {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "i.html"}}},
         lambda a: a["IndexDocument"] == {"Suffix": "i.html"}),
        ("ownership_controls", "OwnershipControlsNotFoundError", "bucket_ownership_controls",
         {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
         lambda a: a["OwnershipControls"]["Rules"][0]["ObjectOwnership"] == "BucketOwnerEnforced"),
    ]  # fmt: skip
    for name, missing, delete, document, right in cases:
        get = getattr(s3, "get_bucket_" + name)
        refused(missing, get, **here)
        getattr(s3, "put_bucket_" + name)(**here, **document)
        assert right(get(**here)), name
        getattr(s3, "delete_" + delete)(**here)
        refused(missing, get, **here)
    refused("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block, **here)
    block = {"BlockPublicAcls": True}
    s3.put_public_access_block(**here, PublicAccessBlockConfiguration=block)
    answer = s3.get_public_access_block(**here)["PublicAccessBlockConfiguration"]
    assert answer["BlockPublicAcls"]
    s3.delete_public_access_block(**here)
    refused("MalformedPolicy", s3.put_bucket_policy, **here, Policy="no")


@check("first")
def defaults():
    "s3: what a bucket has without being told"
    here = made("py-defaults")
    rules = s3.get_bucket_encryption(**here)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert "Status" not in s3.get_bucket_versioning(**here)
    enabled = {"Status": "Enabled"}
    refused("NotImplemented", s3.put_bucket_versioning, **here, VersioningConfiguration=enabled)
    s3.put_bucket_versioning(**here, VersioningConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_versioning(**here)["Status"] == "Suspended"
    assert s3.get_bucket_acl(**here)["Grants"][0]["Permission"] == "FULL_CONTROL"
    s3.put_bucket_acl(**here, ACL="public-read")
    assert [g["Permission"] for g in s3.get_bucket_acl(**here)["Grants"]] == [
        "FULL_CONTROL",
        "READ",
    ]
    assert s3.get_bucket_request_payment(**here)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(**here)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(**here)
    assert "Status" not in s3.get_bucket_accelerate_configuration(**here)
    refused("ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration, **here)
    refused("ReplicationConfigurationNotFoundError", s3.get_bucket_replication, **here)


@check("first")
def object_headers():
    "s3: metadata, content headers, storage class and tags of an object"
    here = {**made("py-objects"), "Key": "dir/ü %+.txt"}
    put = s3.put_object(
        **here,
        Body=b"content",
        Metadata={"Colour": "blue", "long": "x" * 500},
        ContentType="text/plain; charset=utf-8",
        ContentEncoding="identity",
        ContentDisposition='attachment; filename="f"',
        ContentLanguage="de",
        CacheControl="max-age=1",
        StorageClass="GLACIER_IR",
        Tagging="a=1&b=%C3%BC",
    )
    assert put["ETag"] == md5(b"content")
    assert headers_of(put)["x-amz-checksum-type"] == "FULL_OBJECT"
    got = s3.head_object(**here)
    assert got["Metadata"] == {"colour": "blue", "long": "x" * 500}
    assert got["ContentType"] == "text/plain; charset=utf-8" and got["ContentLanguage"] == "de"
    assert got["ContentEncoding"] == "identity" and got["CacheControl"] == "max-age=1"
    assert got["StorageClass"] == "GLACIER_IR" and got["ServerSideEncryption"] == "AES256"
    assert s3.get_object_tagging(**here)["TagSet"][1] == {"Key": "b", "Value": "ü"}
    s3.put_object_tagging(**here, Tagging={"TagSet": [{"Key": "c", "Value": ""}]})
    assert s3.get_object(**here)["TagCount"] == 1
    s3.delete_object_tagging(**here)
    assert s3.get_object_tagging(**here)["TagSet"] == []
    over = s3.get_object(**here, ResponseContentType="text/csv", ResponseCacheControl="no-store")
    assert over["ContentType"] == "text/csv" and over["CacheControl"] == "no-store"
    s3.put_object_acl(**here, ACL="public-read")
    assert len(s3.get_object_acl(**here)["Grants"]) == 2
    refused("MetadataTooLarge", s3.put_object, **here, Metadata={"m": "x" * 2100})
    refused("InvalidStorageClass", s3.put_object, **here, StorageClass="COLD")
    refused("KeyTooLongError", s3.put_object, Bucket="py-objects", Key="k" * 1025)
    deep = "/".join(["d" * 14] * 68) + "/end"
    s3.put_object(Bucket="py-objects", Key=deep, Body=b"deep")
    assert s3.get_object(Bucket="py-objects", Key=deep)["Body"].read() == b"deep"
    # Non-ASCII values: the SDK sends none, others do.
    status, _, body = plain(
        "PUT",
        s3.generate_presigned_url("put_object", Params={"Bucket": "py-objects", "Key": "m"}),
        b"x",
        {"x-amz-meta-word": "=?UTF-8?B?w7w=?="},
    )
    assert status == 403 and code_of(body) == "AccessDenied", body  # it was not signed
    headers = s3.head_object(**here)["ResponseMetadata"]["HTTPHeaders"]
    assert len(headers["x-amz-request-id"]) == 16 and headers["x-amz-id-2"]


@check("first")
def ranges():
    "s3: ranges of an object, and those that are none"
    here = {**made("py-ranges"), "Key": "k"}
    s3.put_object(**here, Body=b"0123456789")
    for text, got, at in [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=8-", b"89", "bytes 8-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-4", b"0123456789", None),
        ("bytes=0-1,4-5", b"0123456789", None),
    ]:
        answer = s3.get_object(**here, Range=text)
        assert answer["Body"].read() == got, text
        assert answer.get("ContentRange") == at, text
    error = refused("InvalidRange", s3.get_object, **here, Range="bytes=10-")
    assert error["Error"]["ActualObjectSize"] == "10"
    refused("416", s3.head_object, **here, Range="bytes=10-")


@check("first")
def reads_under_conditions():
    "s3: conditional reads and their precedence"
    here = {**made("py-reads"), "Key": "k"}
    etag = s3.put_object(**here, Body=b"1")["ETag"]
    assert s3.get_object(**here, IfMatch=etag)["ETag"] == etag
    refused("PreconditionFailed", s3.get_object, **here, IfMatch='"0"')
    refused("304", s3.get_object, **here, IfNoneMatch=etag)
    refused("PreconditionFailed", s3.get_object, **here, IfUnmodifiedSince="2001-01-01")
    s3.get_object(**here, IfMatch=etag, IfUnmodifiedSince="2001-01-01")
    s3.get_object(**here, IfNoneMatch='"0"', IfModifiedSince="2099-01-01")
    refused("304", s3.get_object, **here, IfNoneMatch=etag, IfModifiedSince="2001-01-01")


@check("first")
def writes_under_conditions():
    "s3: conditional writes: only if absent, only if unchanged"
    here = {**made("py-writes"), "Key": "k"}
    absent = with_headers({"If-None-Match": "*"})
    one = absent.put_object(**here, Body=b"1")["ETag"]
    error = refused("PreconditionFailed", absent.put_object, **here, Body=b"2")
    assert error["Error"]["Condition"] == "If-None-Match"
    unchanged = with_headers({"If-Match": one})
    two = unchanged.put_object(**here, Body=b"2")["ETag"]
    refused("PreconditionFailed", unchanged.put_object, **here, Body=b"3")
    refused("NoSuchKey", unchanged.put_object, Bucket="py-writes", Key="none", Body=b"")
    refused("PreconditionFailed", unchanged.delete_object, **here)
    other = with_headers({"If-None-Match": two})
    refused("NotImplemented", other.put_object, **here, Body=b"3")
    with_headers({"If-Match": two}).delete_object(**here)
    refused("NoSuchKey", s3.get_object, **here)
    upload = s3.create_multipart_upload(**here)["UploadId"]
    part = s3.upload_part(**here, UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    end = {**here, "UploadId": upload, "MultipartUpload": parts}
    s3.put_object(**here, Body=b"between")
    refused("PreconditionFailed", absent.complete_multipart_upload, **end)
    s3.delete_object(**here)
    refused("ConditionalRequestConflict", absent.complete_multipart_upload, **end)


@check("first")
def copies():
    "s3: copies with metadata kept or replaced, and under conditions"
    here = made("py-copies")
    source = {"Bucket": "py-copies", "Key": "from ü+"}
    s3.put_object(**source, Body=b"data", Metadata={"m": "old"}, Tagging="t=1")
    copy = s3.copy_object(**here, Key="to", CopySource=source)["CopyObjectResult"]
    assert copy["ETag"] == md5(b"data")
    assert s3.head_object(**here, Key="to")["Metadata"] == {"m": "old"}
    s3.copy_object(
        **here,
        Key="to",
        CopySource=source,
        Metadata={"m": "new"},
        MetadataDirective="REPLACE",
        TaggingDirective="REPLACE",
        ChecksumAlgorithm="SHA256",
    )
    got = s3.get_object(**here, Key="to", ChecksumMode="ENABLED")
    digest = base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    assert got["Metadata"] == {"m": "new"} and "TagCount" not in got
    assert got["ChecksumSHA256"] == digest
    refused("InvalidRequest", s3.copy_object, **here, Key="from ü+", CopySource=source)
    wrong = {"CopySource": source, "CopySourceIfMatch": '"0"'}
    refused("PreconditionFailed", s3.copy_object, **here, Key="to", **wrong)
    none = {"Bucket": "py-copies", "Key": "none"}
    refused("NoSuchKey", s3.copy_object, **here, Key="to", CopySource=none)


@check("first")
def checksums():
    "s3: all checksums are proven, kept and told"
    here = made("py-sums")
    for name, value in [
        ("CRC32", "NSRBwg=="),
        ("SHA1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
        ("SHA256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
    ]:
        put = s3.put_object(**here, Key=name, Body=b"abc", ChecksumAlgorithm=name)
        assert put["Checksum" + name] == value, put
    for name, value in [("crc32c", "Nks/tw=="), ("crc64nvme", "BeXKuz/B+us=")]:
        header = "x-amz-checksum-" + name
        put = with_headers({header: value}).put_object(**here, Key=name, Body=b"abc")
        assert headers_of(put)[header] == value, put
        head = headers_of(s3.head_object(**here, Key=name, ChecksumMode="ENABLED"))
        assert head[header] == value and head["x-amz-checksum-type"] == "FULL_OBJECT"
        wrong = with_headers({header: value})
        refused("BadDigest", wrong.put_object, **here, Key="bad", Body=b"abd")
    refused("BadDigest", s3.put_object, **here, Key="bad", Body=b"abd", ChecksumCRC32="NSRBwg==")
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused("BadDigest", s3.put_object, **here, Key="bad", Body=b"abc", ContentMD5=wrong)
    refused("NoSuchKey", s3.get_object, **here, Key="bad")


@check("first")
def streams():
    "s3: bodies in signed and unsigned chunks with trailers"
    here = made("py-streams")
    # Over http boto3 puts the checksum of a stream that cannot rewind into a trailer only when asked
    # for unsigned payloads; both ways must give the same object.
    data = hashlib.sha256(b"seed").digest() * 8192
    for mode in (True, False):
        config = CONFIG.merge(Config(s3={"payload_signing_enabled": mode}))
        streaming = boto3.client("s3", endpoint_url=URL, config=config)
        put = streaming.put_object(**here, Key="s", Body=io.BytesIO(data))
        assert put["ETag"] == md5(data)
        assert streaming.get_object(**here, Key="s")["Body"].read() == data


@check("first")
def listings():
    "s3: listings in exact order, with prefixes, pages, markers and encodings"
    here = made("py-list")
    keys = ["a", "a b", "a+b", "a/", "a/1", "a/2/x", "b\u00fc", "c\x01d", "z//y", "\u20ac"]
    for key in keys:
        s3.put_object(**here, Key=key, Body=b"")
    order = sorted(keys, key=lambda k: k.encode())
    for operation in ("list_objects", "list_objects_v2"):
        for size in (1, 3, 1000):
            got = []
            pages = s3.get_paginator(operation).paginate(
                **here, PaginationConfig={"PageSize": size}
            )
            for page in pages:
                got += [o["Key"] for o in page.get("Contents", [])]
            assert got == order, (operation, size, got)
    page = s3.list_objects_v2(**here, Delimiter="/", Prefix="a")
    assert [o["Key"] for o in page["Contents"]] == ["a", "a b", "a+b"]
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/"] and page["KeyCount"] == 4
    page = s3.list_objects_v2(**here, StartAfter="a/1", MaxKeys=2, FetchOwner=True)
    assert [o["Key"] for o in page["Contents"]] == ["a/2/x", "b\u00fc"] and page["IsTruncated"]
    assert page["Contents"][0]["Owner"]["ID"]
    page = s3.list_objects(**here, Delimiter="/", MaxKeys=4)
    assert page["NextMarker"] == "a/", page
    assert s3.list_objects_v2(**here, MaxKeys=0)["KeyCount"] == 0
    refused("InvalidArgument", s3.list_objects_v2, **here, ContinuationToken="wrong")
    versions = s3.list_object_versions(**here)["Versions"]
    assert [v["Key"] for v in versions] == order and versions[0]["VersionId"] == "null"


@check("first")
def deletions():
    "s3: many objects are deleted at once, quietly or not"
    here = made("py-delete")
    names = [{"Key": "k%03d" % i} for i in range(250)]
    for name in names:
        s3.put_object(**here, **name, Body=b"x")
    answer = s3.delete_objects(**here, Delete={"Objects": names[:100] + [{"Key": "none"}]})
    assert len(answer["Deleted"]) == 101
    answer = s3.delete_objects(**here, Delete={"Objects": names[100:], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer
    assert s3.list_objects_v2(**here)["KeyCount"] == 0


@check("first")
def multipart():
    "s3: a large upload in parts, its parts, ranges and attributes"
    here = {**made("py-parts"), "Key": "big"}
    data = hashlib.sha256(b"parts").digest() * (21 * MIB // 32)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_fileobj(io.BytesIO(data), "py-parts", "big", Config=config)
    head = s3.head_object(**here)
    assert head["ETag"].endswith('-5"') and head["ContentLength"] == len(data)
    out = io.BytesIO()
    s3.download_fileobj("py-parts", "big", out, Config=config)
    assert out.getvalue() == data
    part = s3.get_object(**here, PartNumber=5)
    assert part["Body"].read() == data[20 * MIB :] and part["PartsCount"] == 5
    refused("InvalidPartNumber", s3.get_object, **here, PartNumber=6)
    attributes = s3.get_object_attributes(
        **here, ObjectAttributes=["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    )
    assert attributes["ObjectSize"] == len(data)
    assert attributes["ObjectParts"]["TotalPartsCount"] == 5
    sizes = [p["Size"] for p in attributes["ObjectParts"].get("Parts", [])]
    assert sizes in ([], [5 * MIB] * 4 + [MIB])  # a newer boto3 asks for checksums by itself


def upload_parts(here, datas, upload=None, **arguments):
    """An upload with these parts. Gives its id and the list for its completion."""
    upload = upload or s3.create_multipart_upload(**here, **arguments)["UploadId"]
    parts = []
    for i, data in enumerate(datas, 1):
        part = s3.upload_part(**here, UploadId=upload, PartNumber=i, Body=data, **arguments)
        sums = {k: v for k, v in part.items() if k in ("ChecksumCRC32", "ChecksumSHA256")}
        parts.append({"PartNumber": i, "ETag": part["ETag"], **sums})
    return upload, {"Parts": parts}


@check("first")
def multipart_checksums():
    "s3: composite and full-object checksums of parts"
    here = {**made("py-part-sums"), "Key": "k"}
    datas = [b"a" * (5 * MIB), b"tail"]
    upload, parts = upload_parts(here, datas, ChecksumAlgorithm="SHA256")
    missing = {"Parts": [{k: p[k] for k in ("PartNumber", "ETag")} for p in parts["Parts"]]}
    complete = s3.complete_multipart_upload
    refused("InvalidRequest", complete, **here, UploadId=upload, MultipartUpload=missing)
    done = complete(**here, UploadId=upload, MultipartUpload=parts)
    raw = b"".join(hashlib.sha256(d).digest() for d in datas)
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode() + "-2"
    assert done["ChecksumSHA256"] == digest, done
    head = headers_of(s3.head_object(**here, ChecksumMode="ENABLED"))
    assert head["x-amz-checksum-type"] == "COMPOSITE", head
    raw = b"".join(hashlib.md5(d).digest() for d in datas)
    assert done["ETag"] == '"%s-2"' % hashlib.md5(raw).hexdigest()
    attributes = s3.get_object_attributes(**here, ObjectAttributes=["ObjectParts"])["ObjectParts"]
    sums = [p["ChecksumSHA256"] for p in attributes["Parts"]]
    assert sums == [p["ChecksumSHA256"] for p in parts["Parts"]]
    full = with_headers({"x-amz-checksum-type": "FULL_OBJECT"})
    upload = full.create_multipart_upload(**here, ChecksumAlgorithm="CRC32")["UploadId"]
    _, parts = upload_parts(here, datas, upload=upload, ChecksumAlgorithm="CRC32")
    done = complete(**here, UploadId=upload, MultipartUpload=parts)
    whole = s3.put_object(
        Bucket="py-part-sums", Key="whole", Body=b"".join(datas), ChecksumAlgorithm="CRC32"
    )
    assert done["ChecksumCRC32"] == whole["ChecksumCRC32"], (done, whole)
    refused("InvalidRequest", full.create_multipart_upload, **here, ChecksumAlgorithm="SHA1")


@check("first")
def multipart_rules():
    "s3: uploads and parts are listed, copied, refused and aborted"
    here = {**made("py-rules"), "Key": "k"}
    upload, parts = upload_parts(here, [b"small", b"tail"])
    end = {**here, "UploadId": upload}
    complete = s3.complete_multipart_upload
    error = refused("EntityTooSmall", complete, **end, MultipartUpload=parts)
    assert error["Error"]["MinSizeAllowed"] == "5242880"
    back = {"Parts": parts["Parts"][::-1]}
    refused("InvalidPartOrder", complete, **end, MultipartUpload=back)
    wrong = {"Parts": [{"PartNumber": 1, "ETag": '"0"'}]}
    refused("InvalidPart", complete, **end, MultipartUpload=wrong)
    listed = s3.list_parts(**end, MaxParts=1)
    assert listed["IsTruncated"] and listed["NextPartNumberMarker"] == 1
    listed = s3.list_parts(**end, PartNumberMarker=1)
    assert [p["PartNumber"] for p in listed["Parts"]] == [2]
    s3.create_multipart_upload(Bucket="py-rules", Key="dir/other")
    uploads = s3.list_multipart_uploads(Bucket="py-rules", Delimiter="/")
    assert [u["Key"] for u in uploads["Uploads"]] == ["k"]
    assert uploads["CommonPrefixes"] == [{"Prefix": "dir/"}]
    s3.put_object(Bucket="py-rules", Key="source", Body=b"0123456789")
    copy = s3.upload_part_copy(
        **end,
        PartNumber=1,
        CopySource={"Bucket": "py-rules", "Key": "source"},
        CopySourceRange="bytes=2-4",
    )
    assert copy["CopyPartResult"]["ETag"] == md5(b"234")
    refused("InvalidArgument", s3.upload_part, **end, PartNumber=0, Body=b"")
    s3.abort_multipart_upload(**end)
    refused("NoSuchUpload", s3.list_parts, **end)
    refused("NoSuchUpload", s3.abort_multipart_upload, **end)


@check("first")
def presigned():
    "s3: presigned requests by plain HTTP, and what is wrong with changed ones"
    here = {**made("py-signed"), "Key": "a b/ü"}
    url = s3.generate_presigned_url("put_object", Params=here)
    status, headers, _ = plain("PUT", url, b"by url")
    assert status == 200 and headers["ETag"] == md5(b"by url")
    url = s3.generate_presigned_url("get_object", Params={"ResponseContentType": "a/b", **here})
    status, headers, body = plain("GET", url)
    assert (status, headers["Content-Type"], body) == (200, "a/b", b"by url")
    changed = plain("GET", url.replace("a%20b", "a%20c"))
    assert changed[0] == 403 and code_of(changed[2]) == "SignatureDoesNotMatch", changed
    assert b"<StringToSign>" in changed[2] and b"<CanonicalRequest>" in changed[2]
    assert plain("PUT", url, b"x")[0] == 403
    status, _, body = plain("GET", url.replace("X-Amz-Expires=3600", "X-Amz-Expires=604801"))
    assert (status, code_of(body)) == (400, "AuthorizationQueryParametersError"), body
    status, _, body = plain("GET", url.split("&X-Amz-Signature")[0])
    assert (status, code_of(body)) == (400, "AuthorizationQueryParametersError"), body
    status, _, body = plain("GET", url.split("?")[0])
    assert (status, code_of(body)) == (403, "AccessDenied"), body
    url = s3.generate_presigned_url(
        "put_object", Params={"Metadata": {"m": "v"}, "ContentType": "t/s", **here}
    )
    assert plain("PUT", url, b"1", {"Content-Type": "other"})[0] == 403
    status, _, body = plain("PUT", url, b"1", {"Content-Type": "t/s", "x-amz-meta-m": "v"})
    assert status == 200, body
    assert s3.head_object(**here)["Metadata"] == {"m": "v"}


def form(fields, content):
    boundary = uuid.uuid4().hex
    out = b""
    for name, value in fields.items():
        out += b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (
            boundary.encode(),
            name.encode(),
            value.encode(),
        )
    out += b'--%s\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n' % (
        boundary.encode()
    )
    out += content + b"\r\n--%s--\r\n" % boundary.encode()
    return out, {"Content-Type": "multipart/form-data; boundary=" + boundary}


@check("first")
def forms():
    "s3: a browser's form with a signed policy"
    here = made("py-forms")
    post = s3.generate_presigned_post(
        "py-forms",
        "in/${filename}",
        Fields={"success_action_status": "201", "x-amz-meta-m": "v"},
        Conditions=[
            {"success_action_status": "201"},
            {"x-amz-meta-m": "v"},
            ["content-length-range", 1, 10],
        ],
    )
    status, headers, body = plain("POST", post["url"], *form(post["fields"], b"by form"))
    assert status == 201 and headers["ETag"] == md5(b"by form"), body
    got = s3.get_object(**here, Key="in/f.txt")
    assert got["Body"].read() == b"by form" and got["Metadata"] == {"m": "v"}
    status, _, body = plain("POST", post["url"], *form(post["fields"], b"x" * 11))
    assert (status, code_of(body)) == (400, "EntityTooLarge"), body
    changed = {**post["fields"], "key": "out/x"}
    status, _, body = plain("POST", post["url"], *form(changed, b"x"))
    assert (status, code_of(body)) == (403, "AccessDenied"), body
    changed = {**post["fields"], "x-amz-signature": "0" * 64}
    status, _, body = plain("POST", post["url"], *form(changed, b"x"))
    assert (status, code_of(body)) == (403, "SignatureDoesNotMatch"), body


@check("first")
def version_2():
    "s3: URLs and forms signed with version 2, as older clients make them by themselves"
    here = {**made("py-v2"), "Key": "a b/ü"}
    config = CONFIG.merge(Config(signature_version="s3"))
    old = boto3.client("s3", endpoint_url=URL, config=config)
    s3.put_object(**here, Body=b"old")
    url = old.generate_presigned_url("get_object", Params={"ResponseContentType": "a/b", **here})
    assert "AWSAccessKeyId" in url, url
    status, headers, body = plain("GET", url)
    assert (status, headers["Content-Type"], body) == (200, "a/b", b"old"), body
    for wrong, code in [
        (url.replace("a%20b", "a%20c"), "SignatureDoesNotMatch"),
        (url.replace("a%2Fb", "a%2Fc"), "SignatureDoesNotMatch"),
        (url.replace("AWSAccessKeyId=", "AWSAccessKeyId=x"), "InvalidAccessKeyId"),
        (url.replace("Signature=", "Signatur="), "AccessDenied"),
    ]:
        status, _, body = plain("GET", wrong)
        assert (status, code_of(body)) == (403, code), (wrong, body)
    late = old.generate_presigned_url("get_object", Params=here, ExpiresIn=-1)
    status, _, body = plain("GET", late)
    assert status == 403 and b"Request has expired" in body, body
    url = old.generate_presigned_url("put_object", Params={**here, "Metadata": {"m": "v"}})
    assert plain("PUT", url, b"by url")[0] == 200
    assert s3.head_object(**here)["Metadata"] == {"m": "v"}
    post = old.generate_presigned_post("py-v2", "form")
    assert plain("POST", post["url"], *form(post["fields"], b"by form"))[0] == 204
    changed = {**post["fields"], "signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    assert plain("POST", post["url"], *form(changed, b"by form"))[0] == 403


@check("first")
def unproven():
    "s3: what looks like a form opens no other door"
    here = made("py-doors")
    body, headers = form({"key": "k"}, b"x")
    for target in ("/py-doors", "/py-doors?acl", "/py-doors?delete", "/py-doors/k?uploads", "/"):
        status, _, answer = plain("POST", URL + target, body, headers)
        assert (status, code_of(answer)) == (403, "AccessDenied"), (target, answer)
    assert "Contents" not in s3.list_objects_v2(**here)


@check("first")
def too_large():
    "s3: one PUT above 64 MiB is refused by name"
    here = made("py-large")
    error = refused("EntityTooLarge", s3.put_object, **here, Key="k", Body=bytes(65 * MIB))
    assert error["Error"]["MaxSizeAllowed"] == str(64 * MIB)
    s3.put_object(**here, Key="k", Body=bytes(64 * MIB))


@check("first")
def roles():
    "sts: a role's credentials sign until they are changed"
    sts = client("sts")
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"
    role = "arn:aws:iam::123456789012:role/reader"
    answer = sts.assume_role(RoleArn=role, RoleSessionName="me", DurationSeconds=900)
    arn = "arn:aws:sts::123456789012:assumed-role/reader/me"
    assert answer["AssumedRoleUser"]["Arn"] == arn
    for given in (answer["Credentials"], sts.get_session_token()["Credentials"]):
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        other = boto3.client("s3", endpoint_url=URL, config=CONFIG, **keys)
        other.list_buckets()
        url = other.generate_presigned_url("list_buckets")
        assert plain("GET", url)[0] == 200
        keys["aws_session_token"] = "other"
        wrong = boto3.client("s3", endpoint_url=URL, config=CONFIG, **keys)
        refused("InvalidToken", wrong.list_buckets)
    refused("ValidationError", sts.assume_role, RoleArn=role, RoleSessionName="a:b")
    unknown = boto3.client(
        "s3", endpoint_url=URL, config=CONFIG, aws_access_key_id="A" * 20, aws_secret_access_key="x"
    )
    refused("InvalidAccessKeyId", unknown.list_buckets)


@check("again")
def kept():
    "s3: objects, uploads and documents are there after a restart"
    data = hashlib.sha256(b"parts").digest() * (21 * MIB // 32)
    out = io.BytesIO()
    s3.download_fileobj("py-parts", "big", out)
    assert out.getvalue() == data
    part = s3.get_object(Bucket="py-parts", Key="big", PartNumber=5)
    assert part["PartsCount"] == 5
    uploads = s3.list_multipart_uploads(Bucket="py-rules")["Uploads"]
    assert [u["Key"] for u in uploads] == ["dir/other"]
    assert s3.get_bucket_versioning(Bucket="py-defaults")["Status"] == "Suspended"
    assert s3.get_object(Bucket="py-forms", Key="in/f.txt")["Body"].read() == b"by form"


sys.exit(main())
