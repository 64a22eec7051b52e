/* Who may use the files of a database, and which files may be used at all. */
#ifndef MPSYNC_STORES_SQLITE_ACCESS_H
#define MPSYNC_STORES_SQLITE_ACCESS_H

#include "base/options.h"

#include <sys/stat.h>

/* The database, and the files beside it that belong to it. */
enum sqlite_part { SQLITE_DATABASE, SQLITE_WAL, SQLITE_SHM, SQLITE_NOTIFY, SQLITE_PARTS };

/* What the options say; -1: they do not say. */
struct sqlite_access {
	mode_t mode;
	gid_t group;
};

bool sqlite_access_read(
    struct sqlite_access *access, const struct mpsync_options *options, mpsync_error *error);

/* Make the database if there is none. No descriptor of it is opened. */
bool sqlite_access_make(const char *path, const struct sqlite_access *access, mpsync_error *error);

/* Can the file be shared, and under this name? `status` is the database's. */
bool sqlite_access_check(const char *path, struct stat *status, mpsync_error *error);

/*
 * May the files beside the database be opened? Not what is a link, or has a second name: what is
 * written into it would be written into somebody else's file.
 */
bool sqlite_access_check_parts(char *const paths[SQLITE_PARTS], mpsync_error *error);

/*
 * Give the files beside the database the group and mode of the database, where this user owns them.
 */
void sqlite_access_share(char *const paths[SQLITE_PARTS]);

/* Why SQLite could not use the files, and what to do about it. Fills the error. */
void sqlite_access_explain(char *const paths[SQLITE_PARTS], int code, mpsync_error *error);

#endif
