/*
 * The simulated world: real time, nodes with clocks of their own, and an agenda of events.
 * Everything follows from one seed.
 */
#ifndef SIM_H
#define SIM_H

#include "engine.h"
#include "stores/records.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_NAMES 3
#define SIM_NEVER UINT64_MAX

enum sim_fault {
	FAULT_LOSE = 1 << 0,     /* requests and answers vanish */
	FAULT_DELAY = 1 << 1,    /* they take up to 2 ttl, and overtake one another */
	FAULT_PAUSE = 1 << 2,    /* processes stand still, also between clock read and send */
	FAULT_CRASH = 1 << 3,    /* processes die and start again */
	FAULT_OUTAGE = 1 << 4,   /* the store answers nobody */
	FAULT_ERRORS = 1 << 5,   /* 429 with Retry-After, 403 while held, spurious 409 */
	FAULT_WATCH = 1 << 6,    /* watches silent, late, doubled, replayed */
	FAULT_HANDS = 1 << 7,    /* annotated, deleted, re-created by other hands */
	FAULT_WALL = 1 << 8,     /* wall clocks step, or stand still */
	FAULT_POWER = 1 << 9,    /* file: power loss drops what was not synced; reboot */
	FAULT_CANCEL = 1 << 10,  /* callers cancel, time out and close at any time */
	FAULT_STREAM = 1 << 11,  /* elector streams break by client, elector, proxy */
	FAULT_FOREIGN = 1 << 12, /* client-go takes part */
	FAULT_FORCE = 1 << 13,   /* someone releases by force */
	FAULT_ALL = (1 << 14) - 1
};

enum sim_mode { MODE_LEASE, MODE_FILE, MODE_ELECTOR, MODE_COUNT };

struct sim;
struct sim_node;
typedef void sim_handler(struct sim *sim, void *argument);

/* A process: what it was told of time, and whether it runs. */
struct sim_node {
	struct sim *sim;
	int number;
	int host;
	bool alive;
	unsigned life; /* rises with each crash: events of a former life are dropped */
	uint64_t paused_until_us;
	uint64_t rate_ppm;
	int64_t offset_us;
	int64_t wall_step_ms;
	bool wall_frozen;
	struct engine *engine;
	struct sim_backend *backend;
	struct store_query force; /* its name is set while it is under way */
	uint64_t wake_number;     /* the timer that counts; earlier ones are stale */
};

struct sim_event {
	uint64_t at_us;
	uint64_t order;
	struct sim_node *node; /* paused and crashed with it; NULL: the world's own */
	unsigned life;
	sim_handler *handler;
	void *argument;
	sim_handler *dropped; /* frees the argument of an event that never happens */
};

/* Someone who believes to hold a name. */
struct sim_belief {
	struct sim_belief *next;
	struct sim_node *node;
	int name;
	uint64_t until_ms; /* the node's boot clock */
	unsigned life;
};

struct sim_store;

struct sim_options {
	uint64_t seed;
	uint64_t rate_ratio_ppm; /* largest ratio of two clocks' rates: 1050000 */
	int mode;                /* -1: any */
	uint32_t only;           /* faults that may be chosen */
	bool trace;
};

struct sim {
	struct sim_options options;
	uint64_t now_us;
	uint64_t random_state;
	uint64_t order;
	struct sim_event *agenda;
	size_t agenda_count;
	size_t agenda_size;
	struct sim_node *nodes;
	int node_count;
	enum sim_mode mode;
	uint32_t faults;
	bool faults_on;
	uint32_t ttl_ms;
	uint64_t outage_until_us;
	struct sim_store *store;
	struct sim_belief *beliefs;
	uint64_t last_token[SIM_NAMES];
	int64_t least_slack_us;
	bool wall_stepped;
	uint64_t events;
	const char *violated; /* the property, or NULL */
	char what[200];
	char world[1024];
	void *workload;
};

/* ---- sim.c ---- */
uint64_t sim_random(struct sim *sim, uint64_t below);
bool sim_chance(struct sim *sim, unsigned percent);
bool sim_fault(struct sim *sim, enum sim_fault fault, unsigned percent);
void sim_at(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_handler *handler,
    void *argument, sim_handler *dropped);
bool sim_step(struct sim *sim);
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_violate(struct sim *sim, const char *property, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint64_t sim_boot_ms(const struct sim_node *node);
uint64_t sim_real_us(const struct sim_node *node, uint64_t boot_ms);
struct store_clock sim_clock(struct sim_node *node);
void sim_wake_at(void *node, uint64_t at_ms);
void sim_pause(struct sim_node *node, uint64_t us);
uint64_t sim_latency_us(struct sim *sim);
void sim_clear_agenda(struct sim *sim);

/* ---- sim_store.c: a store that behaves as a Lease API server, or as one host's file, does ---- */
struct sim_store *sim_store_new(struct sim *sim);
void sim_store_free(struct sim_store *store);
struct store *sim_backend_new(struct sim_node *node);
void sim_store_hands(struct sim *sim);
void sim_store_power_loss(struct sim *sim, int host);
void sim_store_foreign_start(struct sim *sim);
const char *sim_store_leftover(struct sim *sim);
const char *sim_name(int name);
int sim_name_number(const char *name);

/* ---- sim_beliefs.c: who believes what, P1 to P3 ---- */
void sim_believe(struct sim_node *node, int name, void *who, uint64_t until_ms);
void sim_disbelieve_node(struct sim_node *node);
void sim_granting_write(struct sim *sim, int name);
void sim_told_token(struct sim *sim, int name, uint64_t token);
bool sim_believes(struct sim *sim, const void *who);

#endif
