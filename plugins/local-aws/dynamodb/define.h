/* define.h - what CreateTable and UpdateTable share. Part of define.c and redefine.c. */
#ifndef KPIPE_LOCAL_AWS_DDB_DEFINE_H
#define KPIPE_LOCAL_AWS_DDB_DEFINE_H

#include "plugins/local-aws/dynamodb/schema.h"

/* Are the keys and the projection of an index in order? */
bool ddb_define_index(const json_t *index, const json_t *definitions, struct ddb_error *err);
/* Is there an index of that name among the first ones of the list? */
bool ddb_define_has(const json_t *list, const char *name, size_t before);
/* [new reference] A request's index as it is kept, with the number its rows are stored under. */
json_t *ddb_define_document(json_t *document, const json_t *given, bool is_global,
                            const struct ddb_place *place);
/* [new reference] A request's ProvisionedThroughput as it is described; NULL: zeros. */
json_t *ddb_define_throughput(const json_t *given);
bool ddb_define_billing(const json_t *request, bool on_demand, struct ddb_error *err);
void ddb_define_set_billing(json_t *document, const json_t *request, const struct ddb_place *place);
/* Stream, encryption, class, protection: as far as the request names them. */
void ddb_define_extras(json_t *document, const json_t *request, const struct ddb_place *place);

#endif
