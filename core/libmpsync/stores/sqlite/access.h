/* Who may use the files, and which files may be used at all. */
#ifndef MPSYNC_STORES_SQLITE_ACCESS_H
#define MPSYNC_STORES_SQLITE_ACCESS_H

#include "base/options.h"

#include <sys/stat.h>

/* The database, and what lies beside it and belongs to it. */
enum sqlite_part { SQLITE_DATABASE, SQLITE_WAL, SQLITE_SHM, SQLITE_NOTIFY, SQLITE_PARTS };

/* As the options say; what they do not say is -1. */
struct sqlite_access {
	mode_t mode;
	gid_t group;
};

bool sqlite_access_read(
    struct sqlite_access *access, const struct mpsync_options *options, mpsync_error *error);

/* Make the database where there is none. No descriptor of it is opened. */
bool sqlite_access_make(const char *path, const struct sqlite_access *access, mpsync_error *error);

/* Is it one that can be shared, and by this name? `status` is the database's. */
bool sqlite_access_check(const char *path, struct stat *status, mpsync_error *error);

/* What lies beside the database is for those for whom the database is; ours to say if it is ours.
 */
void sqlite_access_share(char *const paths[SQLITE_PARTS]);

/* Why SQLite could not use them, and what to do. Fills the error. */
void sqlite_access_explain(char *const paths[SQLITE_PARTS], int code, mpsync_error *error);

#endif
