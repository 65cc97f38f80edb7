/* wire.c - see wire.h. */
#include "plugins/kinesis/wire.h"

#include "plugins/kinesis/calls.h"
#include "sdk/wire/cbor.h"

#define BREAKDOWNS 3 /* then the other form is tried */

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

/* 5xx tells nothing for sure, but a service that speaks CBOR says it in CBOR. */
static void note_breakdown(struct wire *wire, const kp_aws_response *response)
{
    if (!wire_looks_cbor(response->body) && ++wire->breakdowns % BREAKDOWNS == 0)
        wire->is_cbor = !wire->is_cbor;
}

bool wire_refused(struct wire *wire, bool was_cbor, const kp_aws_response *response)
{
    if (wire->is_sure)
        return was_cbor && !wire->is_cbor && response->error;
    if (!response->status || calls_judge(response) == CALLS_TOO_LONG)
        return false;
    if (response->status >= 500) {
        note_breakdown(wire, response);
        return false;
    }
    wire->is_sure = true;
    if (!was_cbor) {
        wire->is_cbor = false;
        return false;
    }
    wire->is_cbor = wire_looks_cbor(response->body);
    return !wire->is_cbor && response->error;
}
