/*
 * Instead of http_calls.c: requests are kept until the test answers them. Needs the archive, so
 * that the real one stays out.
 */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H

#include "net/http.h"

struct http_call {
	struct http_call *next;
	struct http_request request; /* its texts are gone, but for these */
	char server[64];
	char path[200];
	char token[64];
	char authorization[64];
	char body[200];
};

/* The oldest one that is under way; NULL: there is none. */
struct http_call *fake_call(void);
/* Of the oldest one; what is NULL in it is empty. */
void fake_answer(struct http_answer answered);

#endif
