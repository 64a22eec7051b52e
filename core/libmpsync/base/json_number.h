/* Whole numbers out of JSON that others send: cJSON keeps each number as a double. */
#ifndef MPSYNC_JSON_NUMBER_H
#define MPSYNC_JSON_NUMBER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* False unless the item is a whole number from 0 to `most`; *number is then as it was. */
bool json_number_read(const cJSON *item, uint64_t most, uint64_t *number);

/*
 * The same for what is taken as well as it can be: `most` for all that is larger, what stands
 * before the point of a fraction, and 0 for what is negative or no number at all.
 */
uint64_t json_number(const cJSON *item, uint64_t most);

#endif
