/*
 * The folder of this user's state: $XDG_STATE_HOME/mpsync, else ~/.local/state/mpsync, and for root
 * without HOME /var/lib/mpsync.
 */
#ifndef MPSYNC_STATE_FOLDER_H
#define MPSYNC_STATE_FOLDER_H

/*
 * The path of a file in that folder, owned by the caller. NULL: errno is ENOMEM, or ENOENT where
 * there is no such folder.
 */
char *state_file(const char *name);

#endif
