/*
 * A client's engine over one store, driven by the bytes of an input: what is asked of the engine,
 * what the other side answers, and how time passes. The input consists of steps that stand between
 * separators; the first byte of a step says what it is (world.c). Clock, identities and HTTP are
 * the input's own, so that an input does the same each time.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "net/loop.h"
#include "protocol/engine.h"

#define WORLD_SEPARATOR "\n%%\n"

/* Opens the store that is fuzzed; NULL ends the input. */
typedef struct store *world_open(struct loop *loop, const struct store_clock *clock);

/* Aborts where the engine tells an owner what must not be told. */
void world_run(world_open *open, const uint8_t *bytes, size_t size);

uint64_t world_now_ms(void);

/* ---- timers.c: libevent's timers ---- */
/* Makes those active whose time has come. */
void timers_ring(void);

/* ---- answers.c: core/libmpsync/net/http.h, answered by the input ---- */
/* One step of an answer, a stream's piece or its end; `step` ends in NUL. */
void answers_step(const char *step, size_t size);
/* What was to be answered by now is over. */
void answers_time_out(void);
/* Everything under way fails. */
void answers_fail(void);

#endif
