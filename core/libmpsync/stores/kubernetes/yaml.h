/* YAML as JSON: so that one set of functions walks both. */
#ifndef MPSYNC_STORES_YAML_H
#define MPSYNC_STORES_YAML_H

#include <cjson/cJSON.h>
#include <stddef.h>

/*
 * The first document. Scalars become strings, but for plain true and false. NULL: no YAML, or no
 * memory; `problem` says which and where. Owned by the caller.
 */
cJSON *yaml_parse(const char *text, size_t length, char *problem, size_t problem_size);

#endif
