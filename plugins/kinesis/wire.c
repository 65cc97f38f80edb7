/* wire.c - see wire.h. */
#include "plugins/kinesis/wire.h"

#include "plugins/kinesis/calls.h"
#include "sdk/wire/cbor.h"

void wire_init(struct wire *wire, int choice)
{
    wire->is_cbor = choice != WIRE_JSON;
    wire->is_sure = choice != WIRE_AUTO;
}

const char *wire_content_type(bool is_cbor)
{
    return is_cbor ? "application/x-amz-cbor-1.1" : "application/x-amz-json-1.1";
}

bool wire_looks_cbor(kp_slice body)
{
    return body.len && (uint8_t)body.ptr[0] >> 5 == KPW_CBOR_MAJOR_MAP;
}

bool wire_refused(struct wire *wire, bool was_cbor, const kp_aws_response *response)
{
    if (!was_cbor || wire->is_sure || !response->status || response->status >= 500 ||
        calls_judge(response) == CALLS_TOO_LONG)
        return wire->is_sure && was_cbor && !wire->is_cbor && response->error;
    wire->is_sure = true;
    wire->is_cbor = wire_looks_cbor(response->body);
    return !wire->is_cbor && response->error;
}
