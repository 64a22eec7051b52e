/*
 * Whole numbers out of JSON that other programs send. cJSON keeps each number as a double, whose
 * cast to an integer is undefined where it does not fit.
 */
#ifndef MPSYNC_JSON_NUMBER_H
#define MPSYNC_JSON_NUMBER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * For numbers that must be right: false unless the item is a whole number from 0 to `most`; *number
 * is unchanged then.
 */
bool json_number_read(const cJSON *item, uint64_t most, uint64_t *number);

/*
 * For numbers that are taken as well as possible: `most` for anything larger, the whole part of a
 * fraction, and 0 for a negative number or no number at all.
 */
uint64_t json_number(const cJSON *item, uint64_t most);

#endif
