/* Where this user's state lives: $XDG_STATE_HOME/mpsync, else ~/.local/state/mpsync. */
#ifndef MPSYNC_STATE_FOLDER_H
#define MPSYNC_STATE_FOLDER_H

/*
 * The path of a file there, owned by the caller; for root without HOME in /var/lib/mpsync. NULL
 * without memory, or where there is no such folder.
 */
char *state_file(const char *name);

#endif
