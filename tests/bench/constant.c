/* The yardstick: libevent's evhttp with an answer of the same size, and nothing behind it. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_SIZE 311

static void answer(struct evhttp_request *request, void *context)
{
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(
	    evhttp_request_get_output_headers(request), "Content-Type", "application/json");
	evbuffer_add(body, context, ANSWER_SIZE);
	evhttp_send_reply(request, 200, NULL, body);
	evbuffer_free(body);
}

int main(int argc, char **argv)
{
	static char text[ANSWER_SIZE];
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);

	memset(text, 'x', sizeof text);
	evhttp_set_gencb(http, answer, text);
	if (argc < 2 || evhttp_bind_socket(http, "127.0.0.1", (uint16_t)atoi(argv[1])) != 0)
		return 1;
	event_base_dispatch(base);
	return 0;
}
