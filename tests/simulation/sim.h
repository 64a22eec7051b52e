/*
 * The simulated world: real time, nodes with clocks of their own, and an agenda of events.
 * Everything follows from one seed.
 */
#ifndef SIM_H
#define SIM_H

#include "base/socket_name.h"
#include "protocol/engine.h"
#include "protocol/terms.h"
#include "stores/records/records.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_NAMES 3
#define SIM_NEVER UINT64_MAX

enum sim_fault {
	FAULT_LOSE = 1 << 0,   /* requests and answers vanish */
	FAULT_DELAY = 1 << 1,  /* they take up to 2 ttl, and overtake one another */
	FAULT_PAUSE = 1 << 2,  /* processes stand still, also between clock read and send */
	FAULT_CRASH = 1 << 3,  /* processes die and start again */
	FAULT_OUTAGE = 1 << 4, /* the store answers nobody */
	FAULT_ERRORS = 1 << 5, /* 429 with Retry-After, 403 while held, spurious 409 */
	FAULT_WATCH = 1 << 6,  /* watches silent, late, doubled, replayed */
	FAULT_HANDS = 1 << 7,  /* annotated, deleted, re-created by other hands */
	FAULT_WALL = 1 << 8,   /* wall clocks step, or stand still */
	FAULT_POWER = 1 << 9,  /* file: power loss drops what was not synced; reboot */
	FAULT_CANCEL =
	    1 << 10, /* callers cancel, time out and close at any time; renew with another ttl */
	FAULT_STREAM = 1 << 11,  /* streams break, go through proxies; electors are replaced */
	FAULT_FOREIGN = 1 << 12, /* client-go, or etcd's own client, takes part */
	FAULT_FORCE = 1 << 13,   /* someone releases by force */
	FAULT_LEADER = 1 << 14,  /* etcd: another member leads, and the former one does not know */
	FAULT_NAME = 1 << 15,    /* what renews one name is forbidden for a while, others go on */
	FAULT_DOWN = 1 << 16, /* half a ttl of a store that refuses, is silent, slow, or answers late */
	FAULT_DEAF = 1 << 17, /* present connections pass no more bytes; new ones do */
	FAULT_THROTTLE = 1 << 18, /* 429 with seconds, or with an hour */
	FAULT_LATE = 1 << 19,     /* a write is done long after its request, or answered long after */
	FAULT_COUNT = 20,
	FAULT_ALL = (1 << FAULT_COUNT) - 1
};

/* What a server that is down does with what reaches it. */
enum sim_down { DOWN_REFUSES, DOWN_IS_SILENT, DOWN_IS_SLOW, DOWN_ANSWERS_LATE, DOWN_KINDS };

enum sim_mode { MODE_LEASE, MODE_FILE, MODE_ELECTOR, MODE_ETCD, MODE_ELECTOR_ETCD, MODE_COUNT };

struct sim;
struct sim_node;
struct sim_elector;
struct sim_etcd;
struct sim_old_wire;
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
	struct sim_elector *elector; /* an elector's */
	struct http *http;           /* an elector's client's */
	struct etcd_rpc *etcd_rpc;
	int site;               /* whose elector it asks */
	struct id queued_claim; /* the last that it asked its elector to queue, and for what */
	int queued_name;
	bool is_elector;
	struct store_query force; /* its name is set while it is under way */
	uint64_t wake_number;     /* the timer that counts; earlier ones are stale */
	int claims;               /* users on it */
	uint64_t sent;            /* requests to the store */
	uint64_t told_us;         /* when the last event comes that is on its way to it */
	unsigned connections;     /* how many it has opened; the last is the present one */
	unsigned deaf;            /* up to this one they pass nothing any more */
	uint64_t strayed_us[2];   /* when its last two questions were lost, or late; latest first */
	uint64_t line_us;         /* when it opened the one that its next request takes; 0: a new one */
	uint64_t deaf_us;         /* those to electors that were opened until then pass nothing */
	uint64_t allowed;         /* those that its users and the store gave reason for */
};

struct sim_event {
	uint64_t at_us;
	uint64_t order;
	struct sim_node *node; /* paused and crashed with it; NULL: the world's own */
	unsigned life;
	bool timer; /* after a pause it may be noticed after what came later */
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
	uint64_t since_us;
	unsigned life;
};

/* A request on its way to an elector, or the answer on its way back (a status of 0 is none). */
struct sim_message {
	struct sim_node *client;
	unsigned client_life;
	uint64_t call;
	struct sim_node *elector;
	char *method;
	char *path;
	char *session;
	char *body;
	uint64_t last_event;
	uint64_t read_ms;   /* when the elector read it */
	uint64_t opened_us; /* its connection; 0: one that never goes deaf */
	unsigned copy;      /* the first, second, … that was sent of one request */
	int status;
	bool stream;
	bool old_wire; /* its client knows no session */
};

/* A session's stream. Kept to the end of the run. */
struct sim_connection {
	struct sim_connection *next;
	struct sim_message asked; /* without its texts */
	struct sim_node *elector;
	unsigned elector_life;
	struct session_stream *session;
	int descriptor;
	int client_references; /* curl's, and the fence's */
	bool direct;           /* else there is a proxy in between */
	bool begun;            /* the client has seen something of it */
	bool open_at_elector;
	bool open_at_client;
	uint64_t delivered_us; /* the last piece */
};

/* What one user sets, and what became of it. */
struct sim_value {
	struct sim_value *next;
	int number;
	uint64_t set; /* rises with each */
	uint64_t stored;
	uint64_t confirmed;
	bool waiting;
};

#define SIM_VALUE_SIZE 48

struct sim_store;

#define SIM_SITES 2

struct sim_options {
	uint64_t seed;
	uint64_t rate_ratio_ppm; /* largest ratio of two clocks' rates: 1050000 */
	int mode;                /* -1: any */
	uint32_t only;           /* faults that may be chosen */
	uint64_t way_us;         /* how long each message is under way; 0: by the ttl */
	uint64_t fan_out_us;     /* how long it takes to tell one of those who watch */
	unsigned stutter;        /* percent of messages that take up to thirty times as long */
	uint64_t first_us;       /* a process's first answer comes so much later: it connects */
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
	bool names_only;    /* electors may not watch all names: their Role is limited to some */
	int forbidden_name; /* nobody may renew it */
	uint64_t forbidden_until_us;
	uint64_t down_until_us;
	uint64_t calm_until_us; /* no further trouble of the kind that rights survive begins before */
	enum sim_down down;
	unsigned throttled;              /* so many more requests are told to wait */
	uint64_t deaf_us;                /* when connections went deaf last */
	uint64_t believed_us[SIM_NAMES]; /* when somebody was last seen to believe to hold it */
	struct sim_store *store;
	struct sim_etcd *etcd;
	struct sim_old_wire *old_wire; /* NULL: nobody speaks it */
	struct sim_connection *connections;
	uint64_t connection_count;
	uint64_t calls;
	uint64_t telling_us; /* until when the store tells others of what was written */
	uint64_t writes;     /* that the store was asked for, done or not */
	int sites;
	int current[SIM_SITES]; /* which of a site's two electors is asked */
	struct sim_belief *beliefs;
	struct sim_value *values;
	struct sim_observer *observers;
	struct sim_run *runs;
	uint64_t last_token[SIM_NAMES];
	uint64_t robbed_until_us[SIM_NAMES]; /* so long two may believe */
	int64_t least_slack_us;
	bool wall_stepped;
	uint64_t events;
	const char *violated; /* the property, or NULL */
	char what[200];
	char world[1024];
	void *workload;
};

/* ---- sim.c ---- */
/* Where the library's own calls have no place for it: ids, and fences. */
void sim_world(struct sim *sim);
struct sim *sim_the_world(void);
bool sim_has_electors(const struct sim *sim);
bool sim_is_on_etcd(const struct sim *sim);
uint64_t sim_random(struct sim *sim, uint64_t below);
bool sim_chance(struct sim *sim, unsigned percent);
bool sim_fault(struct sim *sim, enum sim_fault fault, unsigned percent);
void sim_at(struct sim *sim, uint64_t at_us, struct sim_node *node, sim_handler *handler,
    void *argument, sim_handler *dropped);
/* A node's own timer: when its clock shows at_ms. */
void sim_timer(struct sim_node *node, uint64_t at_ms, sim_handler *handler, void *argument,
    sim_handler *dropped);
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
/* What becomes of a request that reaches the store now. */
enum sim_reception { SIM_TAKEN, SIM_LOST, SIM_REFUSED, SIM_LATER };
enum sim_reception sim_receive(struct sim *sim);
/* When an answer that is given now leaves. */
uint64_t sim_answer_us(struct sim *sim);
/* P12: each request needs a reason: a user's wish, news of the store, a renewal that is due. */
void sim_allow_messages(struct sim_node *node);
void sim_count_message(struct sim_node *node);
void sim_clear_agenda(struct sim *sim);

/* ---- sim_store.c: a store that behaves as a Lease API server, or as one host's file, does ---- */
struct sim_store *sim_store_new(struct sim *sim);
void sim_store_free(struct sim_store *store);
struct store *sim_backend_new(struct sim_node *node);
/* `delete`: not only labels. */
void sim_store_hands(struct sim *sim, bool delete);
void sim_store_power_loss(struct sim *sim, int host);
const char *sim_store_leftover(struct sim *sim);
/*
 * Whose living process wrote the name's holder, and when, and when the last but one of that
 * process's questions, or its answer, strayed; NULL: nobody's.
 */
const struct id *sim_store_holding(
    const struct sim *sim, int name, uint64_t *written_us, uint64_t *strayed_us);
/* When the present holder of the name wrote last, if it has died; SIM_NEVER: it lives, or it is
 * free. */
uint64_t sim_store_dead_write_us(const struct sim *sim, int name);
/* Has there been a record of it that lasts longer than any run? */
bool sim_store_lasted(const struct sim *sim, int name);
const char *sim_name(int name);
int sim_name_number(const char *name);
/* What is there, or NULL. */
const struct record *sim_store_record(struct sim *sim, int name);
/* Deleted by hand not long ago: a newcomer could not know (rule 17). */
bool sim_store_is_unprotected(struct sim *sim, int name);
void sim_store_foreign_write(struct sim *sim, int name, const struct record *record);

/* ---- sim_foreign.c ---- */
void sim_foreign_comes(struct sim *sim);

/* ---- sim_http.c: between clients and electors ---- */
void sim_http_forget(struct sim *sim);
void sim_message_free(struct sim *sim, void *message);
void sim_http_answer(
    struct sim *sim, const struct sim_message *asked, int status, const char *body);
void sim_http_refuse(struct sim *sim, void *message);
struct sim_connection *sim_connection_new(struct sim *sim, const struct sim_message *message);
void sim_connection_name(const struct sim_connection *connection, char text[SOCKET_NAME_SIZE]);
void sim_connection_send(struct sim *sim, struct sim_connection *connection, const char *text);
void sim_connection_end(struct sim *sim, struct sim_connection *connection);
void sim_connection_break(struct sim *sim);
/* What clients have open to electors passes no more bytes, and stays open at their end. */
void sim_http_deafen(struct sim *sim);

/* ---- sim_elector.c ---- */
void sim_elector_start(struct sim_node *node);
void sim_elector_crash(struct sim_node *node, bool polite);
void sim_elector_free(struct sim_node *node);
void sim_elector_receive(struct sim *sim, void *message);
/* Of somebody who is not heard: what it asks is answered to nobody. */
void sim_elector_ask(
    struct sim_node *client, struct sim_node *elector, const char *path, const char *body);
/* Without a holder: a PUT of the old wire. */
void sim_elector_ask_old_wire(
    struct sim_node *client, struct sim_node *elector, const char *name, uint64_t call);
void sim_elector_abandon(struct sim_node *node, uint64_t call);
void sim_elector_end(struct sim *sim, void *connection);
void sim_elector_reset(struct sim *sim, void *connection);

/* ---- sim_etcd.c ---- */
struct sim_etcd *sim_etcd_new(struct sim *sim);
void sim_etcd_free(struct sim_etcd *etcd);
/* robs: hands may take what is held. */
void sim_etcd_strike(struct sim *sim, bool robs);
const char *sim_etcd_leftover(struct sim *sim);
/* When the place of a claim in the queue of a name was made; 0: it has none. */
int64_t sim_etcd_place(const struct sim *sim, int name, const struct id *claim);

/* ---- sim_watchdog.c: a run ends, P19 ---- */
void sim_watch(const struct sim *sim);
void sim_watch_step(struct sim *sim);
void sim_unwatch(void);

/* ---- sim_beliefs.c: who believes what, P1 to P3 ---- */
void sim_believe(struct sim_node *node, int name, void *who, uint64_t until_ms);
void sim_disbelieve_node(struct sim_node *node);
void sim_granting_write(struct sim *sim, int name);
void sim_freeing_write(struct sim *sim, int name);
/* A hand takes away what is held: its holder is told in time, P17. */
void sim_rob(struct sim *sim, int name);
/* P5: what the node sends now gives the name away. */
void sim_gives_away(struct sim_node *node, int name);
void sim_told_token(struct sim *sim, int name, uint64_t token);
bool sim_believes(struct sim *sim, const void *who);
bool sim_is_believed(const struct sim *sim, int name);

/* ---- sim_old_wire.c: callers without holder, claim and session, P20, P21 ---- */
/* NULL: nobody of them takes part. */
struct sim_old_wire *sim_old_wire_new(struct sim *sim);
void sim_old_wire_free(struct sim *sim);
void sim_old_wire_answered(struct sim *sim, struct sim_node *node, uint64_t call, int status);
/* Everybody else comes to an end. */
void sim_old_wire_end(struct sim *sim);
void sim_old_wire_check(struct sim *sim);

/* ---- sim_values.c: what is set while a name is held, P18 ---- */
void sim_value_begin(struct sim *sim, struct sim_value *value);
void sim_value_set(struct sim_value *value, char text[SIM_VALUE_SIZE]);
void sim_value_told(struct sim *sim, struct sim_value *value, enum mpsync_status status);
/* The grant ended: nothing is under way any more. */
void sim_value_end(struct sim *sim, struct sim_value *value);
void sim_value_crash(struct sim_value *value);
/* The store shows this from now on (NULL: nothing). */
void sim_value_written(struct sim *sim, const char *text);

/* ---- sim_observers.c: who observes an etcd, P24 ---- */
void sim_observers_new(struct sim *sim);
void sim_observers_free(struct sim *sim);
void sim_observers_start(struct sim_node *node);
void sim_observers_end(struct sim_node *node);
/* A key of etcd was written, or deleted. */
void sim_observers_written(struct sim *sim, const char *key);
void sim_observers_check(struct sim *sim);

/* ---- sim_runs.c: users that run elections, P22, P23 ---- */
struct sim_run_host {
	void (*ask)(void *user, uint64_t wait_ms);
	void (*cancel)(void *user);
	void (*release)(void *user);
	void (*ended)(void *user);
};
/* Freed with the others, by sim_runs_free. */
struct sim_run *sim_run_new(
    struct sim_node *node, int name, const struct sim_run_host *asked, void *user);
void sim_run_begin(struct sim_run *run);
void sim_run_right(struct sim_run *run, uint64_t until_ms);
void sim_run_event(struct sim_run *run, const struct engine_event *event);
void sim_run_stop(struct sim_run *run);
void sim_run_crash(struct sim_run *run);
bool sim_run_goes_on(const struct sim_run *run);
void sim_runs_free(struct sim *sim);

/* Plays the seed of its options; what was found stands in it afterwards. */
void sim_run(struct sim *sim);
/* Of all runs. */
extern uint64_t sim_claim_steps;

#endif
