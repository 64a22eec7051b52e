#include "json_number.h"

uint64_t json_number(const cJSON *item, uint64_t most)
{
	const double value = cJSON_IsNumber(item) ? item->valuedouble : 0;

	/* Written so that what is no number at all (NaN) ends here. */
	if (!(value > 0))
		return 0;
	/* The cast is defined below 2^64 only, which is what the largest `most` becomes here. */
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
