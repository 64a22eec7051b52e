/* YAML read as JSON, so that the same functions read both. */
#ifndef MPSYNC_STORES_YAML_H
#define MPSYNC_STORES_YAML_H

#include <cjson/cJSON.h>
#include <stddef.h>

/*
 * The first document, owned by the caller. Scalars become texts, but for plain true and false.
 * NULL: it is not YAML, or there is no memory; `problem` says what is wrong, and where.
 */
cJSON *yaml_parse(const char *text, size_t length, char *problem, size_t problem_size);

#endif
