#include "id.h"

#include <stddef.h>
#include <string.h>

bool id_equal(const struct id *a, const struct id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool id_is_none(const struct id *id)
{
	static const struct id none;

	return id_equal(id, &none);
}

void id_to_hex(const struct id *id, char hex[ID_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof id->bytes; i++) {
		hex[2 * i] = digits[id->bytes[i] >> 4];
		hex[2 * i + 1] = digits[id->bytes[i] & 15];
	}
	hex[ID_HEX_SIZE - 1] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool id_from_hex(struct id *id, const char *hex)
{
	if (!hex || strnlen(hex, ID_HEX_SIZE) != ID_HEX_SIZE - 1)
		return false;
	for (size_t i = 0; i < sizeof id->bytes; i++) {
		const int high = hex_value(hex[2 * i]);
		const int low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
