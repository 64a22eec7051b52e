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

static bool write_id(int descriptor, struct id *id)
{
	const ssize_t size = ID_HEX_SIZE - 1;
	char hex[ID_HEX_SIZE] = "";

	if (read(descriptor, hex, ID_HEX_SIZE - 1) == size && id_from_hex(id, hex))
		return true;
	id_to_hex(id, hex);
	return ftruncate(descriptor, 0) == 0 && pwrite(descriptor, hex, ID_HEX_SIZE - 1, 0) == size;
}

/*
 * Reads the id from the file, or makes it. The descriptor stays open, and the file locked, as long
 * as the process runs: a second elector with the same folder finds it locked, and becomes another
 * holder. `shared`: both are one holder. Returns NULL, or why nothing was read or written.
 */
static const char *keep_id(const char *path, bool shared, struct id *id)
{
	const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	const char *problem = NULL;

	if (descriptor < 0)
		return strerror(errno);
	if (flock(descriptor, shared ? LOCK_EX : LOCK_EX | LOCK_NB) != 0)
		problem = "another elector has it";
	else if (!write_id(descriptor, id))
		problem = "it cannot be written";
	if (problem || shared)
		close(descriptor);
	return problem;
}

/*
 * The id of the state folder if there is one; else a new id at each start, and `warning` says why.
 */
static bool own_id(
    const char *file, bool shared, struct id *id, char warning[ANONYMOUS_WARNING_SIZE])
{
	const char *problem;
	struct id fresh;
	char *path;

	if (!id_random(&fresh))
		return false;
	*id = fresh;
	path = state_file(file);
	if (!path)
		problem = errno == ENOMEM ? "out of memory" : "there is no HOME and no XDG_STATE_HOME";
	else
		problem = make_parents(path) ? keep_id(path, shared, id) : strerror(errno);
	if (problem) {
		*id = fresh;
		snprintf(warning, ANONYMOUS_WARNING_SIZE,
		    "%.200s: %.100s: what callers without a holder have ends with this elector; give it a "
		    "state folder of its own by XDG_STATE_HOME",
		    path ? path : file, problem);
	}
	free(path);
	return true;
}

/* Electors of one Pod are one holder; electors of other Pods with the same folder are others. */
static bool open_in_pod(
    struct anonymous *anonymous, const char *pod, char warning[ANONYMOUS_WARNING_SIZE])
{
	struct id key;

	snprintf(anonymous->holder, sizeof anonymous->holder, "%s", pod);
	return own_id("pod-key", true, &key, warning) && anonymous_claim(&key, pod, &anonymous->key);
}

bool anonymous_open(struct anonymous *anonymous, char warning[ANONYMOUS_WARNING_SIZE])
{
	const char *pod = getenv("POD_UID");
	struct id id;

	*warning = '\0';
	if (pod && *pod)
		return open_in_pod(anonymous, pod, warning);
	if (!own_id("elector-key", false, &anonymous->key, warning) ||
	    !own_id("elector-id", false, &id, warning))
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
