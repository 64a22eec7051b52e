/* The elector: a daemon that serves locks over HTTP. */
#ifndef MPSYNC_ELECTOR_H
#define MPSYNC_ELECTOR_H

/* `mpsync elector …`; returns the exit code. */
int elector_main(int argc, char **argv);

#endif
