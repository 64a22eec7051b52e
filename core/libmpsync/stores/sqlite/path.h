/* Which file a URL file:PATH means, whatever its spelling. */
#ifndef MPSYNC_STORES_SQLITE_PATH_H
#define MPSYNC_STORES_SQLITE_PATH_H

#include <mpsync.h>

/*
 * Absolute and without symbolic links, also for a file that does not exist yet; path "" is the
 * user's own file, whose folder is made. Owned by the caller; NULL: the error names what is
 * missing.
 */
char *sqlite_path_resolve(const char *path, mpsync_error *error);

/* The URL of a path that sqlite_path_resolve returned. Owned by the caller; NULL without memory. */
char *sqlite_path_url(const char *path);

/* The folder of such a path. Owned by the caller; NULL without memory. */
char *sqlite_path_folder(const char *path);

#endif
