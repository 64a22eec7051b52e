#include "base64.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

char *base64_encode(const char *text)
{
	const size_t length = strlen(text);
	char *encoded = length <= INT_MAX / 2 ? malloc((length + 2) / 3 * 4 + 1) : NULL;

	if (encoded)
		EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, (int)length);
	return encoded;
}
