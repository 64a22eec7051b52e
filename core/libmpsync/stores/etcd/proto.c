#include "proto.h"

#include "etcd.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_SIZE    5
#define MOST_MESSAGE (64u * 1024 * 1024)

const char *etcd_path_of(enum etcd_call_kind kind)
{
	switch (kind) {
	case ETCD_GRANT:
		return "/etcdserverpb.Lease/LeaseGrant";
	case ETCD_KEEP_ALIVE:
		return "/etcdserverpb.Lease/LeaseKeepAlive";
	case ETCD_TXN:
		break;
	}
	return "/etcdserverpb.KV/Txn";
}

static ProtobufCBinaryData text(const char *value)
{
	return (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
}

static struct etcd_bytes pack(const ProtobufCMessage *message)
{
	const size_t size = protobuf_c_message_get_packed_size(message);
	struct etcd_bytes packed = {malloc(HEAD_SIZE + size), HEAD_SIZE + size};

	if (!packed.bytes)
		return (struct etcd_bytes){0};
	packed.bytes[0] = 0; /* not compressed */
	for (int i = 0; i < 4; i++)
		packed.bytes[1 + i] = (uint8_t)(size >> (24 - 8 * i));
	protobuf_c_message_pack(message, packed.bytes + HEAD_SIZE);
	return packed;
}

/*
 * The end of the range of all keys that begin with the prefix is the prefix with its last byte
 * raised. That cannot overflow, since all of our prefixes end in a slash. Without memory `*end` is
 * NULL.
 */
static ProtobufCBinaryData end_of(uint8_t **end, const char *prefix)
{
	const size_t size = strlen(prefix);

	*end = (uint8_t *)strdup(prefix);
	if (!*end)
		return (ProtobufCBinaryData){0};
	(*end)[size - 1]++;
	return (ProtobufCBinaryData){size, *end};
}

/* ---- Requests ---- */

struct op_room {
	Etcdpb__RequestOp op;
	Etcdpb__RangeRequest range;
	Etcdpb__PutRequest put;
	Etcdpb__DeleteRangeRequest removal;
	uint8_t *end;
};

/* False without memory. */
static bool set_range(struct op_room *room, const struct etcd_op *op, bool keys_only)
{
	Etcdpb__RangeRequest *range = &room->range;

	etcdpb__range_request__init(range);
	range->key = text(op->key);
	range->keys_only = keys_only;
	room->op.request_case = ETCDPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
	room->op.request_range = range;
	if (op->kind == ETCD_GET)
		return true;
	if (op->kind == ETCD_GET_KEYS) {
		range->keys_only = true;
		range->limit = ETCD_MOST_KEYS;
		if (!*op->key) /* etcd's way to say: from the first key to the last */
			range->key = range->range_end = (ProtobufCBinaryData){1, (uint8_t *)""};
		else
			range->range_end = end_of(&room->end, op->key);
		return range->range_end.data;
	}
	range->range_end = end_of(&room->end, op->key);
	range->sort_target = ETCDPB__RANGE_REQUEST__SORT_TARGET__CREATE;
	range->sort_order = op->kind == ETCD_GET_BEFORE ? ETCDPB__RANGE_REQUEST__SORT_ORDER__DESCEND
	                                                : ETCDPB__RANGE_REQUEST__SORT_ORDER__ASCEND;
	range->limit = op->kind == ETCD_GET_ALL ? 0 : 1;
	range->max_create_revision = op->kind == ETCD_GET_BEFORE ? op->revision - 1 : 0;
	return room->end;
}

static bool set_op(struct op_room *room, const struct etcd_op *op)
{
	etcdpb__request_op__init(&room->op);
	if (op->kind == ETCD_PUT || op->kind == ETCD_TOUCH) {
		etcdpb__put_request__init(&room->put);
		room->put.key = text(op->key);
		if (op->kind == ETCD_TOUCH)
			room->put.ignore_value = room->put.ignore_lease = true;
		else
			room->put.value = text(op->value);
		room->put.lease = op->lease;
		room->op.request_case = ETCDPB__REQUEST_OP__REQUEST_REQUEST_PUT;
		room->op.request_put = &room->put;
		return true;
	}
	if (op->kind == ETCD_DELETE) {
		etcdpb__delete_range_request__init(&room->removal);
		room->removal.key = text(op->key);
		room->op.request_case = ETCDPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
		room->op.request_delete_range = &room->removal;
		return true;
	}
	return set_range(room, op, false);
}

static bool set_read(struct op_room *room, const struct etcd_compare *compare)
{
	etcdpb__request_op__init(&room->op);
	return set_range(room, &(struct etcd_op){.kind = ETCD_GET, .key = compare->key}, true);
}

struct compare_room {
	Etcdpb__Compare compare;
	uint8_t *end;
};

static bool set_compare(struct compare_room *room, const struct etcd_compare *compare)
{
	Etcdpb__Compare *set = &room->compare;

	etcdpb__compare__init(set);
	set->key = text(compare->key);
	if (compare->kind == ETCD_WRITTEN_AT) {
		set->target = ETCDPB__COMPARE__COMPARE_TARGET__MOD;
		set->target_union_case = ETCDPB__COMPARE__TARGET_UNION_MOD_REVISION;
		set->mod_revision = compare->revision;
		return true;
	}
	set->target = ETCDPB__COMPARE__COMPARE_TARGET__CREATE;
	set->target_union_case = ETCDPB__COMPARE__TARGET_UNION_CREATE_REVISION;
	set->create_revision = compare->revision;
	if (compare->kind == ETCD_CREATED_AT)
		return true;
	if (compare->kind == ETCD_THERE) {
		set->result = ETCDPB__COMPARE__COMPARE_RESULT__GREATER;
		return true;
	}
	set->range_end = end_of(&room->end, compare->key);
	/* A comparison of a range is true if it is true of each key in it. */
	if (compare->kind == ETCD_NONE_BEFORE) {
		set->result = ETCDPB__COMPARE__COMPARE_RESULT__GREATER;
		set->create_revision = compare->revision - 1;
	}
	return room->end;
}

/* Room for the operations of `then`, of `otherwise`, and for the further reads, in this order. */
struct txn_room {
	struct compare_room *compares;
	Etcdpb__Compare **compare_list;
	struct op_room *ops;
	Etcdpb__RequestOp **op_list;
	size_t compare_count;
	size_t op_count;
};

static void free_txn(struct txn_room *room)
{
	for (size_t i = 0; room->compares && i < room->compare_count; i++)
		free(room->compares[i].end);
	for (size_t i = 0; room->ops && i < room->op_count; i++)
		free(room->ops[i].end);
	free(room->compares);
	free(room->compare_list);
	free(room->ops);
	free(room->op_list);
}

static bool allocate_txn(struct txn_room *room, const struct etcd_call *call)
{
	room->compare_count = call->compare_count + call->further_count;
	room->op_count = call->then_count + call->otherwise_count + call->further_count;
	room->compares = calloc(room->compare_count + 1, sizeof *room->compares);
	room->compare_list = calloc(room->compare_count + 1, sizeof(Etcdpb__Compare *));
	room->ops = calloc(room->op_count + 1, sizeof *room->ops);
	room->op_list = calloc(room->op_count + 1, sizeof(Etcdpb__RequestOp *));
	return room->compares && room->compare_list && room->ops && room->op_list;
}

static bool fill_txn(struct txn_room *room, const struct etcd_call *call)
{
	struct compare_room *compare = room->compares;
	struct op_room *op = room->ops;
	bool good = true;

	for (size_t i = 0; i < call->compare_count; i++)
		good &= set_compare(compare++, &call->compares[i]);
	for (size_t i = 0; i < call->further_count; i++)
		good &= set_compare(compare++, &call->further[i]);
	for (size_t i = 0; i < call->then_count; i++)
		good &= set_op(op++, &call->then[i]);
	for (size_t i = 0; i < call->otherwise_count; i++)
		good &= set_op(op++, &call->otherwise[i]);
	for (size_t i = 0; i < call->further_count; i++)
		good &= set_read(op++, &call->further[i]);
	for (size_t i = 0; i < room->compare_count; i++)
		room->compare_list[i] = &room->compares[i].compare;
	for (size_t i = 0; i < room->op_count; i++)
		room->op_list[i] = &room->ops[i].op;
	return good;
}

static struct etcd_bytes encode_txn(const struct etcd_call *call)
{
	Etcdpb__TxnRequest txn = ETCDPB__TXN_REQUEST__INIT;
	struct txn_room room = {0};
	struct etcd_bytes packed = {0};

	if (allocate_txn(&room, call) && fill_txn(&room, call)) {
		txn.n_compare = room.compare_count;
		txn.compare = room.compare_list;
		txn.n_success = call->then_count;
		txn.success = room.op_list;
		txn.n_failure = call->otherwise_count + call->further_count;
		txn.failure = room.op_list + call->then_count;
		packed = pack(&txn.base);
	}
	free_txn(&room);
	return packed;
}

struct etcd_bytes etcd_encode(const struct etcd_call *call)
{
	Etcdpb__LeaseGrantRequest grant = ETCDPB__LEASE_GRANT_REQUEST__INIT;
	Etcdpb__LeaseKeepAliveRequest keep = ETCDPB__LEASE_KEEP_ALIVE_REQUEST__INIT;

	if (call->kind == ETCD_TXN)
		return encode_txn(call);
	grant.ttl = call->ttl_s;
	grant.id = keep.id = call->lease;
	return pack(call->kind == ETCD_GRANT ? &grant.base : &keep.base);
}

struct etcd_bytes etcd_encode_watch(const struct etcd_watch *watch)
{
	Etcdpb__WatchRequest request = ETCDPB__WATCH_REQUEST__INIT;
	Etcdpb__WatchCreateRequest create = ETCDPB__WATCH_CREATE_REQUEST__INIT;
	struct etcd_bytes packed = {0};
	uint8_t *end = NULL;

	create.key = text(watch->key);
	if (watch->all)
		create.range_end = end_of(&end, watch->key);
	create.start_revision = watch->revision ? watch->revision + 1 : 0;
	request.request_union_case = ETCDPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
	request.create_request = &create;
	if (end || !watch->all)
		packed = pack(&request.base);
	free(end);
	return packed;
}

struct etcd_bytes etcd_encode_authenticate(const char *user, const char *password)
{
	Etcdpb__AuthenticateRequest request = ETCDPB__AUTHENTICATE_REQUEST__INIT;

	request.name = (char *)user;
	request.password = (char *)password;
	return pack(&request.base);
}

/* ---- Answers ---- */

size_t etcd_message_size(const uint8_t *bytes, size_t size)
{
	size_t length = 0;

	if (size < HEAD_SIZE)
		return 0;
	for (int i = 0; i < 4; i++)
		length = length << 8 | bytes[1 + i];
	if (bytes[0] != 0 || length > MOST_MESSAGE)
		return SIZE_MAX;
	return size < HEAD_SIZE + length ? 0 : HEAD_SIZE + length;
}

/* The message behind the first head; NULL: it is not whole. */
static const uint8_t *content(const uint8_t *bytes, size_t *size)
{
	const size_t whole = etcd_message_size(bytes, *size);

	if (whole == 0 || whole == SIZE_MAX)
		return NULL;
	*size = whole - HEAD_SIZE;
	return bytes + HEAD_SIZE;
}

/* A copy that ends in NUL: etcd's bytes may hold anything, and do not. */
static char *text_of(const ProtobufCBinaryData *data)
{
	return strndup(data->data ? (const char *)data->data : "", data->len);
}

static bool copy_key(struct etcd_key *key, const Etcdpb__KeyValue *from)
{
	key->key = text_of(&from->key);
	key->value = text_of(&from->value);
	key->create_revision = from->create_revision;
	key->mod_revision = from->mod_revision;
	key->lease = from->lease;
	return key->key && key->value;
}

static void free_key(const struct etcd_key *key)
{
	free((char *)key->key);
	free((char *)key->value);
}

static void free_found(const struct etcd_found *found)
{
	for (size_t i = 0; i < found->count; i++)
		free_key(&found->keys[i]);
	free((struct etcd_key *)found->keys);
}

static void free_answer(const struct etcd_answer *answer)
{
	for (size_t i = 0; i < ETCD_MOST_OPS; i++)
		free_found(&answer->found[i]);
	free_found(&answer->further);
}

static bool copy_found(struct etcd_found *found, const Etcdpb__RangeResponse *range)
{
	struct etcd_key *keys;
	bool good = true;

	if (!range || range->n_kvs == 0)
		return true;
	keys = calloc(range->n_kvs, sizeof *keys);
	if (!keys)
		return false;
	found->keys = keys;
	found->count = range->n_kvs;
	for (size_t i = 0; i < range->n_kvs; i++)
		good &= copy_key(&keys[i], range->kvs[i]);
	return good;
}

static void set_header(struct etcd_answer *answer, const Etcdpb__ResponseHeader *header)
{
	if (!header)
		return;
	answer->revision = header->revision;
	answer->term = header->raft_term;
}

/* One key for each of the further keys that exists. */
static bool copy_further(
    struct etcd_found *found, Etcdpb__ResponseOp *const *responses, size_t count)
{
	struct etcd_key *keys = calloc(count + 1, sizeof *keys);
	bool good = keys;

	found->keys = keys;
	for (size_t i = 0; good && i < count; i++) {
		const Etcdpb__RangeResponse *range = responses[i]->response_range;

		if (range && range->n_kvs > 0)
			good = copy_key(&keys[found->count++], range->kvs[0]);
	}
	return good;
}

static bool decode_txn(
    const struct etcd_call *call, struct etcd_answer *answer, const uint8_t *message, size_t size)
{
	Etcdpb__TxnResponse *txn = etcdpb__txn_response__unpack(NULL, size, message);
	const size_t further = txn && !txn->succeeded ? call->further_count : 0;
	bool good = txn && txn->n_responses >= further && txn->n_responses - further <= ETCD_MOST_OPS;

	if (good) {
		set_header(answer, txn->header);
		answer->succeeded = txn->succeeded;
	}
	for (size_t i = 0; good && i < txn->n_responses - further; i++)
		good = copy_found(&answer->found[i], txn->responses[i]->response_range);
	if (good && further > 0)
		good = copy_further(&answer->further, txn->responses + txn->n_responses - further, further);
	etcdpb__txn_response__free_unpacked(txn, NULL);
	return good;
}

static bool decode_grant(struct etcd_answer *answer, const uint8_t *message, size_t size)
{
	Etcdpb__LeaseGrantResponse *grant = etcdpb__lease_grant_response__unpack(NULL, size, message);

	if (!grant)
		return false;
	set_header(answer, grant->header);
	answer->ttl_s = grant->ttl;
	etcdpb__lease_grant_response__free_unpacked(grant, NULL);
	return answer->ttl_s > 0;
}

static bool decode_keep_alive(struct etcd_answer *answer, const uint8_t *message, size_t size)
{
	Etcdpb__LeaseKeepAliveResponse *keep =
	    etcdpb__lease_keep_alive_response__unpack(NULL, size, message);

	if (!keep)
		return false;
	set_header(answer, keep->header);
	answer->ttl_s = keep->ttl;
	answer->result = keep->ttl > 0 ? ETCD_OK : ETCD_NO_LEASE;
	etcdpb__lease_keep_alive_response__free_unpacked(keep, NULL);
	return true;
}

bool etcd_decode(struct etcd_call *call, const uint8_t *bytes, size_t size)
{
	struct etcd_answer answer = {.result = ETCD_OK};
	const uint8_t *message = content(bytes, &size);
	bool good = false;

	if (!message)
		return false;
	switch (call->kind) {
	case ETCD_TXN:
		good = decode_txn(call, &answer, message, size);
		break;
	case ETCD_GRANT:
		good = decode_grant(&answer, message, size);
		break;
	case ETCD_KEEP_ALIVE:
		good = decode_keep_alive(&answer, message, size);
		break;
	}
	if (good)
		call->done(call, &answer);
	free_answer(&answer);
	return good;
}

static bool tell_event(struct etcd_watch *watch, const Etcdpb__Event *event)
{
	struct etcd_key key = {0};
	const bool good = event->kv && copy_key(&key, event->kv);

	if (good && event->type == ETCDPB__EVENT__EVENT_TYPE__DELETE)
		watch->gone(watch, key.key, event->kv->mod_revision);
	else if (good)
		watch->put(watch, &key);
	free_key(&key);
	return good;
}

bool etcd_decode_watch(struct etcd_watch *const *watch, const uint8_t *bytes, size_t size)
{
	const uint8_t *message = content(bytes, &size);
	Etcdpb__WatchResponse *response =
	    message ? etcdpb__watch_response__unpack(NULL, size, message) : NULL;
	bool good = response && !response->canceled;

	if (good && response->created && (*watch)->began)
		(*watch)->began(*watch);
	for (size_t i = 0; good && i < response->n_events && *watch; i++)
		good = tell_event(*watch, response->events[i]);
	if (response)
		etcdpb__watch_response__free_unpacked(response, NULL);
	return good;
}

char *etcd_decode_authenticate(const uint8_t *bytes, size_t size)
{
	const uint8_t *message = content(bytes, &size);
	Etcdpb__AuthenticateResponse *response =
	    message ? etcdpb__authenticate_response__unpack(NULL, size, message) : NULL;
	char *token = response && *response->token ? strdup(response->token) : NULL;

	if (response)
		etcdpb__authenticate_response__free_unpacked(response, NULL);
	return token;
}
