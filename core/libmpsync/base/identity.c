#include "identity.h"

#include "text.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

bool id_random(struct id *id)
{
	return getrandom(id->bytes, sizeof id->bytes, 0) == (ssize_t)sizeof id->bytes;
}

bool id_digest(const struct id *secret, struct id *digest)
{
	char hex[ID_HEX_SIZE];
	unsigned char sha[EVP_MAX_MD_SIZE];

	id_to_hex(secret, hex);
	if (EVP_Digest(hex, ID_HEX_SIZE - 1, sha, NULL, EVP_sha256(), NULL) != 1)
		return false;
	memcpy(digest->bytes, sha, sizeof digest->bytes);
	return true;
}

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

const char *identity_default(char *out, unsigned size)
{
	const char *pod = getenv("POD_NAME");
	char host[200] = "localhost";

	if (pod && *pod) {
		snprintf(out, size, "%s", pod);
		return holder_problem(pod);
	}
	if (gethostname(host, sizeof host - 1) != 0 || !*host)
		snprintf(host, sizeof host, "localhost");
	snprintf(out, size, "%s-%ld", host, (long)getpid());
	return holder_problem(out);
}
