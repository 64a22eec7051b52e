#include "anonymous.h"
#include "base/identity.h"

#include "base/state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		bool made;

		*slash = '\0';
		made = mkdir(path, 0700) == 0 || errno == EEXIST;
		*slash = '/';
		if (!made)
			return false;
	}
	return true;
}

/*
 * The descriptor stays open, and the file locked, as long as the process runs: a second elector
 * with the same folder finds it locked, and is another holder. False: nothing was read or written.
 */
static bool keep_id(const char *path, struct id *id)
{
	const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char hex[ID_HEX_SIZE] = "";
	const ssize_t size = ID_HEX_SIZE - 1;

	if (descriptor < 0)
		return false;
	if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
		if (read(descriptor, hex, ID_HEX_SIZE - 1) == size && id_from_hex(id, hex))
			return true;
		id_to_hex(id, hex);
		if (ftruncate(descriptor, 0) == 0 && pwrite(descriptor, hex, ID_HEX_SIZE - 1, 0) == size)
			return true;
	}
	close(descriptor);
	return false;
}

/* Kept where there is a state folder; else a new one at each start. False without randomness. */
static bool own_id(const char *file, struct id *id)
{
	struct id fresh;
	char *path;

	if (!id_random(&fresh))
		return false;
	*id = fresh;
	path = state_file(file);
	if (!path || !make_parents(path) || !keep_id(path, id))
		*id = fresh;
	free(path);
	return true;
}

bool anonymous_open(struct anonymous *anonymous)
{
	const char *pod = getenv("POD_UID");
	struct id id;

	if (!own_id("elector-key", &anonymous->key))
		return false;
	if (pod && *pod) {
		snprintf(anonymous->holder, sizeof anonymous->holder, "%s", pod);
		return true;
	}
	if (!own_id("elector-id", &id))
		return false;
	id_to_hex(&id, anonymous->holder);
	return true;
}

bool anonymous_claim(const struct id *key, const char *name, struct id *claim)
{
	unsigned char code[EVP_MAX_MD_SIZE];

	if (!HMAC(EVP_sha256(), key->bytes, sizeof key->bytes, (const unsigned char *)name,
	        strlen(name), code, NULL))
		return false;
	memcpy(claim->bytes, code, sizeof claim->bytes);
	return true;
}
