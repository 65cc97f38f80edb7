/* text.h - the texts of SQS: the query protocol as JSON and back, digests, allowed characters.
 *
 * The service itself speaks JSON only; a query request is turned into the JSON
 * one, and its JSON answer into XML.
 *
 * Threads: any; nothing is shared.
 */
#ifndef KPIPE_LOCAL_AWS_SQS_TEXT_H
#define KPIPE_LOCAL_AWS_SQS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define SQS_MD5_MAX 33 /* hex and its NUL */

/* [new reference] The JSON input that a form body (or query string) stands for, with the member
 * "Action"; NULL: not a form, or beyond all limits. Scalars stay strings. */
json_t *sqs_form_read(const char *form, size_t len);
/* The form's parameters are added to an object that may hold some already. */
bool sqs_form_add(json_t *input, const char *form, size_t len);
/* Makes lists and maps of the numbered members; once, after all were added. */
bool sqs_form_finish(json_t *input);

/* [owned by caller] The XML answer of an action. `output`: its JSON answer; may be NULL. */
char *sqs_xml_answer(const char *action, const json_t *output, const char *request_id);
char *sqs_xml_error(const char *code, const char *message, const char *request_id);

void sqs_md5(const char *text, size_t len, char out[SQS_MD5_MAX]);
/* Digest over message attributes: {name: {DataType, StringValue or BinaryValue}}. */
void sqs_md5_attributes(const json_t *attributes, char out[SQS_MD5_MAX]);
/* Bytes the attributes count against the message size. */
size_t sqs_attributes_size(const json_t *attributes);

/* Characters XML 1.0 can carry. */
bool sqs_is_body(const char *text, size_t len);

#endif
