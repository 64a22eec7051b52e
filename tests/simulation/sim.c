#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No server works on a request for longer. */
#define SERVER_TIMEOUT_US 60000000u
#define USUAL_TTL_MS      15000

/* splitmix64 */
static uint64_t next_random(struct sim *sim)
{
	uint64_t z = (sim->random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

bool sim_has_electors(const struct sim *sim)
{
	return sim->mode == MODE_ELECTOR || sim->mode == MODE_ELECTOR_ETCD;
}

bool sim_is_on_etcd(const struct sim *sim)
{
	return sim->mode == MODE_ETCD || sim->mode == MODE_ELECTOR_ETCD;
}

uint64_t sim_random(struct sim *sim, uint64_t below)
{
	return below ? next_random(sim) % below : 0;
}

bool sim_chance(struct sim *sim, unsigned percent)
{
	return sim_random(sim, 100) < percent;
}

bool sim_fault(struct sim *sim, enum sim_fault fault, unsigned percent)
{
	return sim->faults_on && (sim->faults & fault) && sim_chance(sim, percent);
}

void sim_trace(struct sim *sim, const char *format, ...)
{
	va_list arguments;

	if (!sim->options.trace)
		return;
	printf("%10.3f ms  ", (double)sim->now_us / 1000);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

void sim_violate(struct sim *sim, const char *property, const char *format, ...)
{
	va_list arguments;

	if (sim->violated)
		return;
	sim->violated = property;
	va_start(arguments, format);
	vsnprintf(sim->what, sizeof sim->what, format, arguments);
	va_end(arguments);
	sim_trace(sim, "VIOLATED %s: %s", property, sim->what);
}

/* Drawn from the seed too: ids decide the order in trees. */
bool __wrap_id_random(struct id *id);

static struct sim *world;

void sim_world(struct sim *sim)
{
	world = sim;
}

struct sim *sim_the_world(void)
{
	return world;
}

bool __wrap_id_random(struct id *id)
{
	for (size_t i = 0; i < sizeof id->bytes; i++)
		id->bytes[i] = (uint8_t)sim_random(world, 256);
	return true;
}

/* ---- The agenda ---- */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void push(struct sim *sim, struct sim_event event)
{
	size_t i = sim->agenda_count++;

	if (i == sim->agenda_size) {
		sim->agenda_size = sim->agenda_size * 2 + 64;
		sim->agenda = realloc(sim->agenda, sim->agenda_size * sizeof *sim->agenda);
		if (!sim->agenda)
			abort();
	}
	while (i > 0 && earlier(&event, &sim->agenda[(i - 1) / 2])) {
		sim->agenda[i] = sim->agenda[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	sim->agenda[i] = event;
}

static struct sim_event pop(struct sim *sim)
{
	const struct sim_event first = sim->agenda[0];
	const struct sim_event last = sim->agenda[--sim->agenda_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= sim->agenda_count)
			break;
		if (child + 1 < sim->agenda_count && earlier(&sim->agenda[child + 1], &sim->agenda[child]))
			child++;
		if (!earlier(&sim->agenda[child], &last))
			break;
		sim->agenda[i] = sim->agenda[child];
		i = child;
	}
	sim->agenda[i] = last;
	return first;
}

void sim_at(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_handler *handler,
    void *argument, sim_handler *dropped)
{
	push(sim, (struct sim_event){
	              .at_us = at_us < sim->now_us ? sim->now_us : at_us,
	              .order = sim->order++,
	              .node = node,
	              .life = node ? node->life : 0,
	              .handler = handler,
	              .argument = argument,
	              .dropped = dropped,
	          });
}

static void drop_event(struct sim *sim, const struct sim_event *event)
{
	if (event->dropped)
		event->dropped(sim, event->argument);
}

bool sim_step(struct sim *sim)
{
	struct sim_event event;

	if (sim->agenda_count == 0)
		return false;
	event = pop(sim);
	if (event.node && event.life != event.node->life) {
		drop_event(sim, &event);
		return true;
	}
	if (event.node && event.node->paused_until_us > event.at_us) {
		event.at_us = event.node->paused_until_us; /* its order stays: streams keep theirs */
		if (event.timer && sim_chance(sim, 50))
			event.order = sim->order++;
		push(sim, event);
		return true;
	}
	sim->now_us = event.at_us;
	sim_watch_step(sim);
	event.handler(sim, event.argument);
	return true;
}

void sim_clear_agenda(struct sim *sim)
{
	while (sim->agenda_count > 0) {
		const struct sim_event event = pop(sim);

		drop_event(sim, &event);
	}
	free(sim->agenda);
	sim->agenda = NULL;
	sim->agenda_size = 0;
}

/* ---- Clocks ---- */

uint64_t sim_boot_ms(const struct sim_node *node)
{
	const uint64_t local_us = node->sim->now_us * node->rate_ppm / 1000000;

	return (local_us + (uint64_t)node->offset_us) / 1000;
}

/* When the node's boot clock reaches boot_ms. */
uint64_t sim_real_us(const struct sim_node *node, uint64_t boot_ms)
{
	const uint64_t local_us = boot_ms * 1000;
	uint64_t at;

	/* No run is that long; its microseconds in parts of a million have no place in 64 bits. */
	if (boot_ms > UINT64_MAX / 2000000000)
		return SIM_NEVER / 2;
	if (local_us <= (uint64_t)node->offset_us)
		return 0;
	at = (local_us - (uint64_t)node->offset_us) * 1000000 / node->rate_ppm;
	/* The division rounds: find the first microsecond at which the clock shows it. */
	while ((at * node->rate_ppm / 1000000 + (uint64_t)node->offset_us) / 1000 < boot_ms)
		at++;
	return at;
}

static uint64_t boot_ms(void *context)
{
	return sim_boot_ms(context);
}

static int64_t wall_ms(void *context)
{
	const struct sim_node *node = context;
	const int64_t start = 1700000000000;

	if (node->wall_frozen)
		return start + node->wall_step_ms;
	return start + node->wall_step_ms + (int64_t)sim_boot_ms(node);
}

static uint32_t random32(void *context)
{
	return (uint32_t)sim_random(((struct sim_node *)context)->sim, UINT32_MAX);
}

struct store_clock sim_clock(struct sim_node *node)
{
	return (struct store_clock){boot_ms, wall_ms, random32, node};
}

void sim_timer(struct sim_node *node, uint64_t at_ms, sim_handler *handler, void *argument,
    sim_handler *dropped)
{
	const uint64_t at_us = sim_real_us(node, at_ms);
	struct sim *sim = node->sim;

	push(sim, (struct sim_event){
	              .at_us = at_us < sim->now_us ? sim->now_us : at_us,
	              .order = sim->order++,
	              .node = node,
	              .life = node->life,
	              .timer = true,
	              .handler = handler,
	              .argument = argument,
	              .dropped = dropped,
	          });
}

struct wake {
	struct sim_node *node;
	uint64_t number;
};

static void free_argument(struct sim *sim, void *argument)
{
	(void)sim;
	free(argument);
}

static void on_wake(struct sim *sim, void *argument)
{
	struct wake *wake = argument;
	struct sim_node *node = wake->node;
	const bool stale = wake->number != node->wake_number;

	(void)sim;
	free(wake);
	if (!stale && node->engine)
		engine_run(node->engine);
}

void sim_wake_at(void *context, uint64_t at_ms)
{
	struct sim_node *node = context;
	struct wake *wake;

	node->wake_number++;
	if (at_ms == CLAIM_NEVER)
		return;
	wake = malloc(sizeof *wake);
	if (!wake)
		abort();
	*wake = (struct wake){node, node->wake_number};
	sim_timer(node, at_ms, on_wake, wake, free_argument);
}

void sim_pause(struct sim_node *node, uint64_t us)
{
	const uint64_t until = node->sim->now_us + us;

	if (until > node->paused_until_us)
		node->paused_until_us = until;
	sim_trace(
	    node->sim, "node %d stands still for %llu ms", node->number, (unsigned long long)us / 1000);
}

/* About as long as it is said to be, and sometimes much longer. */
static uint64_t way_us(struct sim *sim)
{
	const uint64_t way =
	    sim->options.way_us * 9 / 10 + sim_random(sim, sim->options.way_us / 5 + 1);

	return sim_chance(sim, sim->options.stutter) ? way * (1 + sim_random(sim, 30)) : way;
}

/*
 * By the ttl, so that short ones are as hard to keep as long ones. The old wire's times do not
 * follow the ttl, so where it is spoken no way is longer than at the usual ttl.
 */
static uint64_t longest_way_us(const struct sim *sim)
{
	const uint32_t ttl_ms =
	    sim_has_electors(sim) && sim->ttl_ms > USUAL_TTL_MS ? USUAL_TTL_MS : sim->ttl_ms;

	return (uint64_t)ttl_ms * 1000 / 200;
}

uint64_t sim_latency_us(struct sim *sim)
{
	const uint64_t ttl_us = (uint64_t)sim->ttl_ms * 1000;

	if (sim->options.way_us)
		return way_us(sim);
	if (sim_fault(sim, FAULT_DELAY, 5))
		return sim_random(sim, 2 * ttl_us < SERVER_TIMEOUT_US ? 2 * ttl_us : SERVER_TIMEOUT_US);
	return 100 + sim_random(sim, longest_way_us(sim) + 1);
}

/* ---- A store that is down ---- */

enum sim_reception sim_receive(struct sim *sim)
{
	if (sim->now_us < sim->outage_until_us)
		return SIM_LOST;
	if (sim->now_us >= sim->down_until_us || sim->down == DOWN_ANSWERS_LATE)
		return SIM_TAKEN;
	if (sim->down == DOWN_REFUSES)
		return SIM_REFUSED;
	return sim->down == DOWN_IS_SLOW ? SIM_LATER : SIM_LOST;
}

uint64_t sim_answer_us(struct sim *sim)
{
	const bool down = sim->now_us < sim->down_until_us;

	return (down ? sim->down_until_us : sim->now_us) + sim_latency_us(sim);
}

/* ---- Messages ---- */

/* The most that one of them may bring about: a read, a write, a look at whom to wait for, a race.
 */
#define MESSAGES_EACH 6

void sim_allow_messages(struct sim_node *node)
{
	node->allowed += MESSAGES_EACH;
}

void sim_count_message(struct sim_node *node)
{
	const struct sim *sim = node->sim;
	const uint64_t renewals = 6 * sim->now_us / ((uint64_t)sim->ttl_ms * 1000) + 1;

	node->sent++;
	if (sim->faults == 0 && !node->is_elector &&
	    node->sent > node->allowed + renewals * MESSAGES_EACH * (uint64_t)node->claims)
		sim_violate(node->sim, "P12", "node %d sends its request %llu without a reason",
		    node->number, (unsigned long long)node->sent);
}
