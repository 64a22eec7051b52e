#include "json_number.h"

uint64_t json_number(const cJSON *item, uint64_t most)
{
	const double value = cJSON_IsNumber(item) ? item->valuedouble : 0;

	/* Written this way round so that NaN, for which every comparison is false, ends here too. */
	if (!(value > 0))
		return 0;
	/*
	 * A cast of a double to uint64_t is defined below 2^64 only, and `most` as a double may be
	 * 2^64.
	 */
	return value >= (double)most ? most : (uint64_t)value;
}

bool json_number_read(const cJSON *item, uint64_t most, uint64_t *number)
{
	const uint64_t nearest = json_number(item, most);

	if (!cJSON_IsNumber(item) || item->valuedouble != (double)nearest)
		return false;
	*number = nearest;
	return true;
}
