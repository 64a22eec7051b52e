/*
 * A server that is far away: passes bytes between whoever connects and a port of this machine, and
 * keeps each back for a while, without slowing their flow.
 *
 *   delay PORT MICROSECONDS     prints the port that it listens on; ends with its input
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
	struct event_base *base;
	struct sockaddr_in target;
	const struct timeval *delay; /* a common one: its timers end in the order in which they began */
};

/* Two ends of one connection; freed when neither is used any more. */
struct pair {
	struct place *place;
	struct bufferevent *ends[2];
	int references; /* ends that are open, pieces under way */
};

/* What has come, and waits; an empty one is the end. */
struct piece {
	struct pair *pair;
	int to;
	struct evbuffer *bytes;
	struct event *timer;
};

static void release(struct pair *pair)
{
	if (--pair->references == 0)
		free(pair);
}

static void close_end(struct pair *pair, int end)
{
	if (!pair->ends[end])
		return;
	bufferevent_free(pair->ends[end]);
	pair->ends[end] = NULL;
	release(pair);
}

static int end_of(const struct pair *pair, const struct bufferevent *end)
{
	return pair->ends[1] == end;
}

static void on_drained(struct bufferevent *end, void *argument)
{
	close_end(argument, end_of(argument, end));
}

static void on_trouble(struct bufferevent *end, short events, void *argument)
{
	(void)events;
	on_drained(end, argument);
}

/* What was passed on before goes out first. */
static void end_well(struct pair *pair, int number)
{
	struct bufferevent *end = pair->ends[number];

	if (end && evbuffer_get_length(bufferevent_get_output(end)) > 0)
		bufferevent_setcb(end, NULL, on_drained, on_trouble, pair);
	else
		close_end(pair, number);
}

static void pass_on(evutil_socket_t descriptor, short events, void *argument)
{
	struct piece *piece = argument;
	struct pair *pair = piece->pair;
	struct bufferevent *end = pair->ends[piece->to];

	(void)descriptor, (void)events;
	if (end && evbuffer_get_length(piece->bytes) > 0)
		bufferevent_write_buffer(end, piece->bytes);
	else
		end_well(pair, piece->to);
	evbuffer_free(piece->bytes);
	event_free(piece->timer);
	free(piece);
	release(pair);
}

static void keep_back(struct pair *pair, int to, struct evbuffer *bytes)
{
	struct piece *piece = calloc(1, sizeof *piece);

	if (!piece)
		abort();
	piece->pair = pair;
	piece->to = to;
	piece->bytes = evbuffer_new();
	if (bytes)
		evbuffer_add_buffer(piece->bytes, bytes);
	piece->timer = evtimer_new(pair->place->base, pass_on, piece);
	pair->references++;
	evtimer_add(piece->timer, pair->place->delay);
}

static void on_read(struct bufferevent *end, void *argument)
{
	struct pair *pair = argument;

	keep_back(pair, !end_of(pair, end), bufferevent_get_input(end));
}

static void on_event(struct bufferevent *end, short events, void *argument)
{
	struct pair *pair = argument;
	const int number = end_of(pair, end);

	if (!(events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
		return;
	keep_back(pair, !number, NULL);
	close_end(pair, number);
}

static void take_end(struct pair *pair, int number, evutil_socket_t descriptor)
{
	const int yes = 1;
	struct bufferevent *end =
	    bufferevent_socket_new(pair->place->base, descriptor, BEV_OPT_CLOSE_ON_FREE);

	if (!end)
		abort();
	setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	pair->ends[number] = end;
	pair->references++;
	bufferevent_setcb(end, on_read, NULL, on_event, pair);
	bufferevent_enable(end, EV_READ | EV_WRITE);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t near, struct sockaddr *from,
    int length, void *argument)
{
	struct place *place = argument;
	struct pair *pair = calloc(1, sizeof *pair);
	const int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)listener, (void)from, (void)length;
	if (!pair || connect(far, (struct sockaddr *)&place->target, sizeof place->target) != 0)
		abort();
	pair->place = place;
	evutil_make_socket_nonblocking(far);
	take_end(pair, 0, near);
	take_end(pair, 1, far);
}

static void on_input(evutil_socket_t descriptor, short events, void *argument)
{
	char byte;

	(void)events;
	if (read(descriptor, &byte, 1) <= 0)
		event_base_loopexit(((struct place *)argument)->base, NULL);
}

int main(int argc, char **argv)
{
	struct place place = {.base = event_base_new()};
	struct timeval delay;
	struct sockaddr_in here = {.sin_family = AF_INET};
	socklen_t size = sizeof here;
	struct evconnlistener *listener;

	if (argc < 3 || !place.base)
		return 2;
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	place.target = here;
	place.target.sin_port = htons((uint16_t)atoi(argv[1]));
	delay.tv_sec = atoi(argv[2]) / 1000000;
	delay.tv_usec = atoi(argv[2]) % 1000000;
	place.delay = event_base_init_common_timeout(place.base, &delay);
	listener = evconnlistener_new_bind(place.base, on_accept, &place,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 512, (struct sockaddr *)&here, sizeof here);
	if (!listener ||
	    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&here, &size) != 0)
		return 1;
	printf("%d\n", ntohs(here.sin_port));
	fflush(stdout);
	event_add(event_new(place.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &place), NULL);
	event_base_dispatch(place.base);
	return 0;
}
