#include "identity.h"

#include "crypto.h"
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
	bool good;

	id_to_hex(secret, hex);
	crypto_enter();
	good = EVP_Digest(hex, ID_HEX_SIZE - 1, sha, NULL, EVP_sha256(), NULL) == 1;
	crypto_leave();
	if (!good)
		return false;
	memcpy(digest->bytes, sha, sizeof digest->bytes);
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
