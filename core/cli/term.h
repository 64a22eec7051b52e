/*
 * One time under the right: from the grant to the moment at which nothing runs any more that was
 * started under it.
 */
#ifndef MPSYNC_CLI_TERM_H
#define MPSYNC_CLI_TERM_H

#include "command.h"
#include "right.h"
#include "tree.h"

enum term_stage {
	TERM_NONE,
	TERM_RUNNING,  /* the command, or what it left behind */
	TERM_STOPPING, /* all were sent SIGTERM, and will be sent SIGKILL */
	TERM_OVER
};

enum term_why {
	WHY_ENDED,    /* the command has ended by itself, and perhaps left something behind */
	WHY_LOST,     /* the right ends, or has ended */
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
	pid_t command;       /* 0: it has ended */
	uint64_t stop_at_ms; /* by the right as it is known now */
	uint64_t kill_at_ms;
	bool said_who; /* cannot be stopped */
	int exit_code; /* the command's */
	int end_signal;
};

/* With the right that was just given. False after an error was printed: nothing was started. */
bool term_begin(struct term *term);

/* Ends all that runs, with the grace that there is. */
void term_stop(struct term *term, enum term_why why);

/* Takes what children there are to wait for. */
void term_on_children(struct term *term);

/* Does what is due; the time of the next look, while the term is not over. */
uint64_t term_check_time(struct term *term);

/* To the processes of the command's group. */
void term_pass_on(const struct term *term, int number);

/* It is over: how it ended. The guard has nothing to look after any more. */
bool term_close(struct term *term);

#endif
