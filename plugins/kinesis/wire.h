/* wire.h - JSON or CBOR, and how a node finds out whether its endpoint speaks CBOR.
 *
 * In CBOR payloads are bytes as they are: no base64, a quarter less to send, hash and receive. The
 * service takes both (AWS's Java SDK speaks CBOR); an emulator may not, and one that answers a CBOR
 * request in JSON exists too. So the first request goes in CBOR, and an answer that is none decides
 * for JSON from then on. Some break at CBOR with 500 or 502: then requests go in the other form
 * after every third such answer, until one of another kind has decided.
 *
 * Threads: the worker of the node.
 */
#ifndef KPIPE_KINESIS_WIRE_H
#define KPIPE_KINESIS_WIRE_H

#include <kpipe/ext/aws.h>
#include <stdbool.h>

enum wire_choice { WIRE_AUTO, WIRE_JSON, WIRE_CBOR };

#define WIRE_OPTION_HELP "auto tries CBOR and goes over to JSON when the endpoint does not speak it"

struct wire {
    bool is_cbor;        /* what the next request is to be */
    bool is_sure;        /* an answer has shown it, or the file says so */
    unsigned breakdowns; /* answers of 5xx before that */
};

void wire_init(struct wire *wire, int choice);
const char *wire_content_type(bool is_cbor);
/* An answer begins like a map in CBOR. */
bool wire_looks_cbor(kp_slice body);
/* The answer to a request, which was in CBOR or not. True: the endpoint did not understand CBOR;
 * the request is to be made again, and wire->is_cbor is false from now on. */
bool wire_refused(struct wire *wire, bool was_cbor, const kp_aws_response *response);

#endif
