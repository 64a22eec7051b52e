#include "private_key.h"

#include "status.h"

#include <stdio.h>
#include <string.h>

/* Both forms of PEM have this word: in the first line, or in a header below it. */
static const char mark[] = "ENCRYPTED";

static bool has_mark(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256];
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file))
		found = strstr(line, mark);
	if (file)
		fclose(file);
	return found;
}

bool private_key_is_plain(const char *path, const char *pem, const char *name, mpsync_error *error)
{
	if (pem ? !strstr(pem, mark) : !path || !has_mark(path))
		return true;
	fail(error, MPSYNC_E_INVALID,
	    "the key %.150s is encrypted, and there is nobody to ask for its pass phrase; decrypt it "
	    "(openssl pkey)",
	    name);
	return false;
}
