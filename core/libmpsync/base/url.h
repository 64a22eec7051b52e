/* A URL that says where locks live, taken apart. */
#ifndef MPSYNC_URL_H
#define MPSYNC_URL_H

#include "options.h"

#define URL_DEFAULT "http://localhost:13131"

enum url_scheme { URL_MEMORY, URL_FILE, URL_HTTP, URL_HTTP_UNIX, URL_KUBERNETES, URL_ETCD };

struct url {
	enum url_scheme scheme;
	char *text;   /* as given, but without its query: for people */
	char *target; /* memory, kubernetes: name; file, unix: path; http: base URL; etcd: endpoints */
	bool tls;     /* https, etcds */
	struct mpsync_options options; /* those of the query */
};

/* False: the error says what is wrong, why, and what to do. */
bool url_parse(struct url *url, const char *text, mpsync_error *error);
void url_clear(struct url *url);

#endif
