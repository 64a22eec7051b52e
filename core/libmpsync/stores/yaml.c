#include "yaml.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* Deeper than any configuration: an alias to what is around it would never end. */
#define MOST_DEPTH 32
/* Aliases to aliases would fill the memory. */
#define MOST_NODES 100000

struct conversion {
	yaml_document_t *document;
	size_t nodes;
};

static cJSON *convert(struct conversion *conversion, int index, int depth);

static cJSON *convert_scalar(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;
	const bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (plain && strcmp(text, "true") == 0)
		return cJSON_CreateTrue();
	if (plain && strcmp(text, "false") == 0)
		return cJSON_CreateFalse();
	if (plain && (strcmp(text, "null") == 0 || strcmp(text, "~") == 0 || !*text))
		return cJSON_CreateNull();
	return cJSON_CreateString(text);
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

static cJSON *convert_mapping(struct conversion *conversion, const yaml_node_t *node, int depth)
{
	cJSON *object = cJSON_CreateObject();

	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     object && pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(conversion->document, pair->key);
		cJSON *value = convert(conversion, pair->value, depth + 1);

		if (value && key && key->type == YAML_SCALAR_NODE &&
		    cJSON_AddItemToObject(object, (const char *)key->data.scalar.value, value))
			continue;
		cJSON_Delete(value);
		cJSON_Delete(object);
		return NULL;
	}
	return object;
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
	if (!yaml_document_get_root_node(&document))
		snprintf(problem, problem_size, "it is empty");
	else
		snprintf(problem, problem_size,
		    "it is nested too deeply, too large, or has keys that are no text");
	result = convert(&conversion, 1, 0);
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	return result;
}
