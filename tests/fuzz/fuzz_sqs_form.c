/* fuzz_sqs_form.c - the query protocol's form as JSON, and JSON as the XML of its answers. */
#include <stdint.h>

#include "plugins/local-aws/s3/name.c"
#define finish form_finish
#include "plugins/local-aws/sqs/form.c"
#undef finish
#include "plugins/local-aws/sqs/xml.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *form = malloc(size ? size : 1), *text, *xml;
    json_t *input, *again;

    memcpy(form, data, size);
    input = sqs_form_read(form, size);
    free(form);
    if (!input)
        return 0;
    /* Whatever it holds is JSON that says the same when it is read again. */
    text = json_dumps(input, JSON_COMPACT);
    again = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
    if (!again || !json_equal(input, again))
        abort();
    xml = sqs_xml_answer("ReceiveMessage", input, "id");
    if (!xml)
        abort();
    free(xml);
    free(text);
    json_decref(again);
    json_decref(input);
    return 0;
}
