/*
 * One grant of the right in the keeper: from its beginning until nothing runs any more that was
 * started under it.
 */
#ifndef MPSYNC_CLI_TERM_H
#define MPSYNC_CLI_TERM_H

#include "command.h"
#include "right.h"
#include "tree.h"

enum term_stage {
	TERM_NONE,
	TERM_RUNNING,  /* the command runs, or something that it left behind */
	TERM_STOPPING, /* all processes got SIGTERM, and will get SIGKILL */
	TERM_OVER
};

enum term_why {
	WHY_ENDED,    /* the command ended by itself, and may have left processes */
	WHY_LOST,     /* the right ends soon, or has ended */
	WHY_ORPHANED, /* `mpsync` or the guard was killed */
};

struct term {
	const struct arguments *arguments;
	const struct origin *origin;
	struct link *link;
	struct right *right;
	struct tree tree;
	pid_t mpsync;
	enum term_stage stage;
	enum term_why why;
	pid_t command;       /* process id; 0: the command has ended */
	int gate;            /* at which the command waits for its beginning */
	uint64_t stop_at_ms; /* follows from the right as it is known now */
	uint64_t kill_at_ms;
	bool said_who; /* it was said which process cannot be stopped */
	int exit_code; /* of the command */
	int end_signal;
};

/*
 * Start the process of the command under the right that was just granted. False after an error was
 * printed: nothing was started.
 */
bool term_begin(struct term *term);

/* The command itself begins; until then its signals wait for it. */
void term_run_command(const struct term *term);

/* The right is not renewed, and will end: end everything that runs in time, and say so. */
void term_give_up(struct term *term);

/* End everything that runs: SIGTERM, and SIGKILL after the grace that is left. */
void term_stop(struct term *term, enum term_why why);

/* Take the statuses of children that have ended. */
void term_on_children(struct term *term);

/* Do what is due. Returns when to look again, while the term is not over. */
uint64_t term_check_time(struct term *term);

/* Send the signal to the processes of the command's group. */
void term_pass_on(const struct term *term, int number);

/* The term is over: store how it ended, and tell the guard that there is nothing to watch. */
bool term_close(struct term *term);

#endif
