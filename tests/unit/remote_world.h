/* A client's store behind an elector, and that elector's end of it: requests are kept until a test
 * answers them. */
#ifndef MPSYNC_REMOTE_WORLD_H
#define MPSYNC_REMOTE_WORLD_H

#include "store_world.h"

#include "net/http.h"

#include <cjson/cJSON.h>

#define ELECTOR_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ELECTOR_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct http_call {
	struct http_call *next;
	struct http_request request;
	char method[8];
	char path[200];
	char text[1024]; /* its body; "": it has none */
	bool is_stream;
};

struct remote_world {
	struct http_call *calls; /* that are under way, the oldest first */
	bool no_calls;           /* none can be made: there is no memory */
};

extern struct remote_world remote_world;

int open_remote(void **state);
int close_remote(void **state);

/* The oldest one under way whose method and path begin so; NULL: there is none. */
struct http_call *asked(const char *method, const char *path);
/* Likewise, and there is one. */
struct http_call *expect(const char *method, const char *path);
const char *text_in(const struct http_call *call, const char *field);

/* An elector's answer; the body may be a format. */
void answer(struct http_call *call, long status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What is no elector's; status 0: nobody answers. */
void answer_as_nobody(struct http_call *call, long status);
/* An event on the stream, of the number `id`; 0: it has none. */
void tell(uint64_t id, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void hello(const char *elector, unsigned generation, bool resumed);
/* The elector, or somebody in between, ends the stream. */
void end_stream(long status);
/* A claim on n that elector A has granted, with the token 7 and 12 s of right. */
struct store_claim *hold(void);
/* One that stands in the queue of n there. */
struct store_claim *queue_up(void);
/* The secret that was sent for a claim last. */
const char *secret_of_claim(void);

#endif
