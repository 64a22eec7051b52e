/* An election is a lock whose record stays and has a value. */
#ifndef MPSYNC_API_ELECTION_H
#define MPSYNC_API_ELECTION_H

#include <mpsync.h>

/* NULL: there is none. */
mpsync_lock *election_lock(mpsync_election *election);

#endif
