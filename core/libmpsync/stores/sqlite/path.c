#include "path.h"

#include "base/state_folder.h"
#include "base/status.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many symbolic links as the kernel follows. */
#define MOST_LINKS 40

static char *out_of_memory(mpsync_error *error)
{
	fail(error, MPSYNC_E_NO_MEMORY, "out of memory");
	return NULL;
}

/* ---- The user's own file ---- */

static char *default_path(mpsync_error *error)
{
	char *path = state_file("locks.db");

	if (path)
		return path;
	if (errno == ENOMEM)
		return out_of_memory(error);
	fail(error, MPSYNC_E_INVALID, "file: needs a path here, for HOME is not set");
	return NULL;
}

static bool make_folders(char *path, mpsync_error *error)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) {
			fail(error, MPSYNC_E_FORBIDDEN, "cannot make the folder %.150s: %s", path,
			    strerror(errno));
			return false;
		}
		*slash = '/';
	}
	return true;
}

/* ---- Any other ---- */

char *sqlite_path_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* "FOLDER/NAME"; the folder may be the root. */
static char *join(const char *folder, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) < 0 ? NULL : path;
}

static char *refuse_folder(const char *path, const char *folder, int code, mpsync_error *error)
{
	if (code == ENOENT)
		fail(error, MPSYNC_E_INVALID,
		    "cannot use %.80s: the folder %.80s does not exist; make it first", path, folder);
	else
		fail(error, code == EACCES ? MPSYNC_E_FORBIDDEN : MPSYNC_E_INVALID,
		    "cannot use %.80s: the folder %.80s: %s", path, folder, strerror(code));
	return NULL;
}

/* The path of a file that does not exist yet: its folder has to exist. */
static char *resolve_folder(const char *path, mpsync_error *error)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char *folder = sqlite_path_folder(path);
	char *real;
	char *result;

	if (!folder)
		return out_of_memory(error);
	real = realpath(folder, NULL);
	if (!real) {
		refuse_folder(path, folder, errno, error);
		free(folder);
		return NULL;
	}
	free(folder);
	result = join(real, name);
	free(real);
	if (!result)
		return out_of_memory(error);
	if (*name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		return result;
	fail(error, MPSYNC_E_INVALID, "cannot use %.150s: it names a folder, not a file", path);
	free(result);
	return NULL;
}

/*
 * The target of a symbolic link that points to nothing; NULL with errno 0: the path is not a link.
 */
static char *follow(const char *path)
{
	char target[PATH_MAX];
	const ssize_t length = readlink(path, target, sizeof target - 1);
	char *folder;
	char *result;

	if (length < 0) {
		errno = 0;
		return NULL;
	}
	target[length] = '\0';
	if (*target == '/')
		return strdup(target);
	folder = sqlite_path_folder(path);
	result = folder ? join(folder, target) : NULL;
	free(folder);
	return result;
}

/* Takes the path over. */
static char *resolve(char *path, mpsync_error *error)
{
	char *result = NULL;

	for (int links = 0; path && links < MOST_LINKS; links++) {
		char *target;

		result = realpath(path, NULL);
		if (result || errno != ENOENT)
			break;
		target = follow(path);
		if (!target && errno == 0) {
			result = resolve_folder(path, error);
			free(path);
			return result;
		}
		free(path);
		path = target;
	}
	if (!path)
		return out_of_memory(error);
	if (!result)
		fail(error, errno == EACCES ? MPSYNC_E_FORBIDDEN : MPSYNC_E_INVALID,
		    "cannot use %.150s: %s", path, strerror(errno));
	free(path);
	return result;
}

char *sqlite_path_resolve(const char *path, mpsync_error *error)
{
	char *given;

	if (*path) {
		given = strdup(path);
		return given ? resolve(given, error) : out_of_memory(error);
	}
	given = default_path(error);
	if (given && make_folders(given, error))
		return resolve(given, error);
	free(given);
	return NULL;
}

/* ---- As a URL ---- */

/* Percent-encodes everything special but slashes, so that people can read the path. */
char *sqlite_path_url(const char *path)
{
	char *escaped = curl_easy_escape(NULL, path, 0);
	char *url = NULL;
	char *to;

	if (!escaped || asprintf(&url, "file:%s", escaped) < 0) {
		curl_free(escaped);
		return NULL;
	}
	curl_free(escaped);
	to = url;
	for (const char *from = url; *from; from++) {
		if (strncmp(from, "%2F", 3) == 0) {
			*to++ = '/';
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return url;
}
