#include "yaml.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* Deeper than any configuration. An alias to a node around it would never end. */
#define MOST_DEPTH 32
/* A bound on nodes, since aliases to aliases could fill the memory. */
#define MOST_NODES 2000000

struct conversion {
	yaml_document_t *document;
	size_t nodes;
};

static cJSON *convert(struct conversion *conversion, int index, int depth);

static bool is_one_of(const char *text, const char *const *words)
{
	while (*words && strcmp(text, *words) != 0)
		words++;
	return *words;
}

/* Booleans and nulls as YAML 1.1 writes them, which is what Kubernetes reads. */
static cJSON *convert_scalar(const yaml_node_t *node)
{
	static const char *const yes[] = {
	    "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y", NULL};
	static const char *const no[] = {
	    "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N", NULL};
	static const char *const nothing[] = {"null", "Null", "NULL", "~", "", NULL};
	const char *text = (const char *)node->data.scalar.value;

	if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return cJSON_CreateString(text);
	if (is_one_of(text, yes))
		return cJSON_CreateTrue();
	if (is_one_of(text, no))
		return cJSON_CreateFalse();
	return is_one_of(text, nothing) ? cJSON_CreateNull() : cJSON_CreateString(text);
}

static cJSON *convert_sequence(struct conversion *conversion, const yaml_node_t *node, int depth)
{
	cJSON *array = cJSON_CreateArray();

	for (yaml_node_item_t *item = node->data.sequence.items.start;
	     array && item < node->data.sequence.items.top; item++) {
		cJSON *value = convert(conversion, *item, depth + 1);

		if (value && cJSON_AddItemToArray(array, value))
			continue;
		cJSON_Delete(value);
		cJSON_Delete(array);
		return NULL;
	}
	return array;
}

/* Of two members with one name the later one counts. Takes the value over. */
static bool set_member(cJSON *object, const char *name, cJSON *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(object, name);
	if (value && cJSON_AddItemToObject(object, name, value))
		return true;
	cJSON_Delete(value);
	return false;
}

static bool fill_mapping(
    struct conversion *conversion, cJSON *object, const yaml_node_t *node, int depth);

/* A merge key ("<<: *other"): of several others the first one counts. */
static bool merge(struct conversion *conversion, cJSON *object, int index, int depth)
{
	const yaml_node_t *node = yaml_document_get_node(conversion->document, index);

	if (!node || depth > MOST_DEPTH || ++conversion->nodes > MOST_NODES)
		return false;
	if (node->type == YAML_MAPPING_NODE)
		return fill_mapping(conversion, object, node, depth);
	if (node->type != YAML_SEQUENCE_NODE)
		return false;
	for (yaml_node_item_t *item = node->data.sequence.items.top;
	     item > node->data.sequence.items.start;)
		if (!merge(conversion, object, *--item, depth + 1))
			return false;
	return true;
}

static bool is_merge_key(const yaml_node_t *key)
{
	return key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       strcmp((const char *)key->data.scalar.value, "<<") == 0;
}

static bool fill_mapping(
    struct conversion *conversion, cJSON *object, const yaml_node_t *node, int depth)
{
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(conversion->document, pair->key);

		if (!key || key->type != YAML_SCALAR_NODE)
			return false;
		if (is_merge_key(key) ? !merge(conversion, object, pair->value, depth + 1)
		                      : !set_member(object, (const char *)key->data.scalar.value,
		                            convert(conversion, pair->value, depth + 1)))
			return false;
	}
	return true;
}

static cJSON *convert_mapping(struct conversion *conversion, const yaml_node_t *node, int depth)
{
	cJSON *object = cJSON_CreateObject();

	if (object && fill_mapping(conversion, object, node, depth))
		return object;
	cJSON_Delete(object);
	return NULL;
}

static cJSON *convert(struct conversion *conversion, int index, int depth)
{
	const yaml_node_t *node = yaml_document_get_node(conversion->document, index);

	if (!node || depth > MOST_DEPTH || ++conversion->nodes > MOST_NODES)
		return NULL;
	switch (node->type) {
	case YAML_SCALAR_NODE:
		return convert_scalar(node);
	case YAML_SEQUENCE_NODE:
		return convert_sequence(conversion, node, depth);
	case YAML_MAPPING_NODE:
		return convert_mapping(conversion, node, depth);
	case YAML_NO_NODE:
		break;
	}
	return NULL;
}

cJSON *yaml_parse(const char *text, size_t length, char *problem, size_t problem_size)
{
	yaml_parser_t parser;
	yaml_document_t document;
	struct conversion conversion = {.document = &document};
	cJSON *result = NULL;

	snprintf(problem, problem_size, "out of memory");
	if (!yaml_parser_initialize(&parser))
		return NULL;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	if (!yaml_parser_load(&parser, &document)) {
		snprintf(problem, problem_size, "line %zu: %s", parser.problem_mark.line + 1,
		    parser.problem ? parser.problem : "no YAML");
		yaml_parser_delete(&parser);
		return NULL;
	}
	snprintf(problem, problem_size,
	    "it is nested too deeply, too large, has keys that are no text, or there is no memory");
	/* An empty document is an empty object. */
	result =
	    yaml_document_get_root_node(&document) ? convert(&conversion, 1, 0) : cJSON_CreateObject();
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	return result;
}
