#!/bin/sh
# cli.sh - drives the local AWS with the AWS CLI: Kinesis, S3, SQS, DynamoDB; signatures verified.
# shellcheck disable=SC1091,SC2154,SC2034 # variables come from and go to lib.sh
. "$(dirname "$0")/lib.sh"

AWS=${AWS:-/usr/bin/aws}
case $("$AWS" --version 2>&1) in
aws-cli/1*) hello=hello ;; # takes data as it is
*) hello=aGVsbG8= ;;
esac

# aws ARGS...: the CLI against our endpoint; errors go to $work/stderr.
aws() {
    "$AWS" --endpoint-url "$url" --output text "$@" 2>"$work/stderr"
}

# refused TEXT CODE ARGS...: the call must fail with that error code.
refused() {
    text=$1
    code=$2
    shift 2
    if aws "$@" >/dev/null; then
        echo "it was accepted" >"$work/stderr"
        result 1 "$text"
    else
        said=$(cat "$work/stderr")
        : >"$work/stderr"
        has "$text" "$said" "$code"
    fi
}

try_kinesis() {
    aws kinesis create-stream --stream-name trips --shard-count 2 >/dev/null
    result $? "kinesis create-stream"
    aws kinesis wait stream-exists --stream-name trips
    result $? "kinesis: the stream becomes active"
    is "kinesis describe-stream-summary counts the shards" \
        "$(aws kinesis describe-stream-summary --stream-name trips \
            --query StreamDescriptionSummary.OpenShardCount)" 2
    shard=$(aws kinesis put-record --stream-name trips --partition-key 7 --data "$hello" \
        --query ShardId)
    has "kinesis put-record names the shard" "$shard" shardId-
    iterator=$(aws kinesis get-shard-iterator --stream-name trips --shard-id "$shard" \
        --shard-iterator-type TRIM_HORIZON --query ShardIterator)
    is "kinesis get-records gives the record back" \
        "$(aws kinesis get-records --shard-iterator "$iterator" \
            --query 'Records[].[PartitionKey,Data]' | tr '\t' ' ')" "7 aGVsbG8="
    refused "kinesis: an unknown stream is told" ResourceNotFoundException \
        kinesis describe-stream-summary --stream-name none
}

try_s3() {
    echo hello >"$work/small"
    head -c 20000000 /dev/urandom >"$work/big"
    aws s3 mb s3://depot >/dev/null
    result $? "s3 mb"
    aws s3 cp --quiet "$work/small" "s3://depot/a folder/small.txt"
    result $? "s3 cp up"
    is "s3: an object is a plain file" "$(cat "$work/data/s3/depot/a folder/small.txt")" hello
    is "s3 ls shows the folder" "$(aws s3 ls s3://depot/ | sed 's/^ *//')" "PRE a folder/"
    has "s3 ls shows the object" "$(aws s3 ls 's3://depot/a folder/')" "6 small.txt"
    is "s3 cp to stdout" "$(aws s3 cp 's3://depot/a folder/small.txt' -)" hello
    aws s3 cp --quiet "$work/big" s3://depot/big.bin
    result $? "s3 cp of 20 MB goes up in parts"
    has "s3: its ETag is one of three parts" \
        "$(aws s3api head-object --bucket depot --key big.bin --query ETag)" '-3"'
    aws s3 cp --quiet s3://depot/big.bin "$work/back" && cmp "$work/big" "$work/back" 2>"$work/stderr"
    result $? "s3 cp brings the same 20 MB back"
    aws s3 cp --quiet s3://depot/big.bin s3://depot/copy.bin &&
        aws s3 cp --quiet s3://depot/copy.bin "$work/back" && cmp "$work/big" "$work/back"
    result $? "s3 cp from object to object, in parts"
    aws s3api get-object --bucket depot --key big.bin --range bytes=0-9 "$work/range" >/dev/null
    is "s3api get-object of a range" "$(wc -c <"$work/range" | tr -d ' ')" 10
    mkdir "$work/tree"
    echo 1 >"$work/tree/one"
    echo 2 >"$work/tree/two"
    aws s3 sync --quiet "$work/tree" s3://depot/tree
    result $? "s3 sync"
    is "s3 sync a second time does nothing" "$(aws s3 sync "$work/tree" s3://depot/tree)" ""
    aws s3 rm --quiet 's3://depot/a folder/small.txt'
    result $? "s3 rm"
    refused "s3: what was removed is gone" 404 s3api head-object --bucket depot --key 'a folder/small.txt'
    refused "s3 rb refuses a full bucket" BucketNotEmpty s3 rb s3://depot
    aws s3 rm --quiet --recursive s3://depot/tree
    is "s3 rm --recursive leaves nothing" "$(aws s3 ls s3://depot/tree/)" ""
    aws s3 rb --force s3://depot >/dev/null
    result $? "s3 rb --force"
}

try_sqs() {
    queue=$(aws sqs create-queue --queue-name failed --query QueueUrl)
    is "sqs create-queue gives an URL of ours" "$queue" "$url/000000000000/failed"
    aws sqs send-message --queue-url "$queue" --message-body '<a & "b">' >/dev/null
    result $? "sqs send-message"
    got=$(aws sqs receive-message --queue-url "$queue" --wait-time-seconds 1 \
        --query 'Messages[0].[ReceiptHandle,Body]')
    is "sqs receive-message" "$(echo "$got" | cut -f2)" '<a & "b">'
    aws sqs delete-message --queue-url "$queue" --receipt-handle "$(echo "$got" | cut -f1)"
    result $? "sqs delete-message"
    is "sqs: the queue is empty" "$(aws sqs get-queue-attributes --queue-url "$queue" \
        --attribute-names All --query 'Attributes.[ApproximateNumberOfMessages,
        ApproximateNumberOfMessagesNotVisible]' | tr '\t' ' ')" "0 0"
    is "sqs list-queues" "$(aws sqs list-queues --query 'QueueUrls[0]')" "$queue"
    refused "sqs: an unknown queue is told" AWS.SimpleQueueService.NonExistentQueue \
        sqs get-queue-url --queue-name none
}

try_dynamodb() {
    aws dynamodb create-table --table-name app --billing-mode PAY_PER_REQUEST \
        --attribute-definitions AttributeName=leaseKey,AttributeType=S \
        --key-schema AttributeName=leaseKey,KeyType=HASH >/dev/null
    result $? "dynamodb create-table"
    aws dynamodb wait table-exists --table-name app
    result $? "dynamodb: the table becomes active"
    item='{"leaseKey":{"S":"shardId-0"},"leaseCounter":{"N":"0"}}'
    aws dynamodb put-item --table-name app --item "$item" \
        --condition-expression 'attribute_not_exists(leaseKey)'
    result $? "dynamodb put-item on a condition"
    refused "dynamodb: the condition fails the second time" ConditionalCheckFailedException \
        dynamodb put-item --table-name app --item "$item" \
        --condition-expression 'attribute_not_exists(leaseKey)'
    is "dynamodb update-item" "$(aws dynamodb update-item --table-name app \
        --key '{"leaseKey":{"S":"shardId-0"}}' --update-expression 'ADD leaseCounter :n' \
        --expression-attribute-values '{":n":{"N":"1"}}' --return-values ALL_NEW \
        --query Attributes.leaseCounter.N)" 1
    is "dynamodb scan" "$(aws dynamodb scan --table-name app --query 'Items[].leaseKey.S')" \
        shardId-0
    aws dynamodb delete-table --table-name app >/dev/null
    result $? "dynamodb delete-table"
}

try_signatures() {
    AWS_SECRET_ACCESS_KEY=wrong
    refused "a wrong secret is refused by s3" SignatureDoesNotMatch s3api list-buckets
    refused "a wrong secret is refused by kinesis" InvalidSignatureException kinesis list-streams
    refused "a wrong secret is refused by sqs" SignatureDoesNotMatch sqs list-queues
    refused "a wrong secret is refused by dynamodb" InvalidSignatureException dynamodb list-tables
    AWS_SECRET_ACCESS_KEY='test'
}

hermetic
start_local
try_kinesis
try_s3
try_sqs
try_dynamodb
try_signatures
finish
