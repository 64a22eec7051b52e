#include "etcd_proto.h"

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

/* Room for the end of a range, which is the prefix with its last byte raised. */
struct range_end {
	uint8_t bytes[4096];
	size_t size;
};

/* All prefixes of ours end in a slash, so the last byte can be raised. */
static ProtobufCBinaryData end_of(struct range_end *end, const char *prefix)
{
	end->size = strlen(prefix);
	if (end->size == 0 || end->size > sizeof end->bytes)
		return (ProtobufCBinaryData){0};
	memcpy(end->bytes, prefix, end->size);
	end->bytes[end->size - 1]++;
	return (ProtobufCBinaryData){end->size, end->bytes};
}

/* ---- Requests ---- */

struct op_room {
	Etcdpb__RequestOp op;
	Etcdpb__RangeRequest range;
	Etcdpb__PutRequest put;
	Etcdpb__DeleteRangeRequest removal;
	struct range_end end;
};

static void set_range(struct op_room *room, const struct etcd_op *op)
{
	Etcdpb__RangeRequest *range = &room->range;

	etcdpb__range_request__init(range);
	range->key = text(op->key);
	room->op.request_case = ETCDPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
	room->op.request_range = range;
	if (op->kind == ETCD_GET)
		return;
	range->range_end = end_of(&room->end, op->key);
	range->sort_target = ETCDPB__RANGE_REQUEST__SORT_TARGET__CREATE;
	range->sort_order = op->kind == ETCD_GET_BEFORE ? ETCDPB__RANGE_REQUEST__SORT_ORDER__DESCEND
	                                                : ETCDPB__RANGE_REQUEST__SORT_ORDER__ASCEND;
	range->limit = op->kind == ETCD_GET_ALL ? 0 : 1;
	range->max_create_revision = op->kind == ETCD_GET_BEFORE ? op->revision - 1 : 0;
}

static void set_op(struct op_room *room, const struct etcd_op *op)
{
	etcdpb__request_op__init(&room->op);
	if (op->kind == ETCD_PUT) {
		etcdpb__put_request__init(&room->put);
		room->put.key = text(op->key);
		room->put.value = text(op->value);
		room->put.lease = op->lease;
		room->op.request_case = ETCDPB__REQUEST_OP__REQUEST_REQUEST_PUT;
		room->op.request_put = &room->put;
	} else if (op->kind == ETCD_DELETE) {
		etcdpb__delete_range_request__init(&room->removal);
		room->removal.key = text(op->key);
		room->op.request_case = ETCDPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
		room->op.request_delete_range = &room->removal;
	} else {
		set_range(room, op);
	}
}

struct txn_room {
	Etcdpb__Compare compares[ETCD_MOST_COMPARES];
	Etcdpb__Compare *compare_list[ETCD_MOST_COMPARES];
	struct range_end ends[ETCD_MOST_COMPARES];
	struct op_room ops[2][ETCD_MOST_OPS];
	Etcdpb__RequestOp *op_lists[2][ETCD_MOST_OPS];
};

static void set_compare(struct txn_room *room, size_t i, const struct etcd_compare *compare)
{
	Etcdpb__Compare *set = &room->compares[i];

	etcdpb__compare__init(set);
	set->target = ETCDPB__COMPARE__COMPARE_TARGET__CREATE;
	set->key = text(compare->key);
	set->target_union_case = ETCDPB__COMPARE__TARGET_UNION_CREATE_REVISION;
	set->create_revision = compare->created;
	if (compare->all)
		set->range_end = end_of(&room->ends[i], compare->key);
	room->compare_list[i] = set;
}

static struct etcd_bytes encode_txn(const struct etcd_call *call)
{
	Etcdpb__TxnRequest txn = ETCDPB__TXN_REQUEST__INIT;
	struct txn_room *room = calloc(1, sizeof *room);
	struct etcd_bytes packed;

	if (!room)
		return (struct etcd_bytes){0};
	for (size_t i = 0; i < call->compare_count; i++)
		set_compare(room, i, &call->compares[i]);
	for (size_t i = 0; i < call->then_count; i++) {
		set_op(&room->ops[0][i], &call->then[i]);
		room->op_lists[0][i] = &room->ops[0][i].op;
	}
	for (size_t i = 0; i < call->otherwise_count; i++) {
		set_op(&room->ops[1][i], &call->otherwise[i]);
		room->op_lists[1][i] = &room->ops[1][i].op;
	}
	txn.n_compare = call->compare_count;
	txn.compare = room->compare_list;
	txn.n_success = call->then_count;
	txn.success = room->op_lists[0];
	txn.n_failure = call->otherwise_count;
	txn.failure = room->op_lists[1];
	packed = pack(&txn.base);
	free(room);
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
	struct range_end end;

	create.key = text(watch->key);
	if (watch->all)
		create.range_end = end_of(&end, watch->key);
	create.start_revision = watch->revision ? watch->revision + 1 : 0;
	request.request_union_case = ETCDPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
	request.create_request = &create;
	return pack(&request.base);
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

/* What stands behind the head of the first whole message; NULL: there is none. */
static const uint8_t *content(const uint8_t *bytes, size_t *size)
{
	const size_t whole = etcd_message_size(bytes, *size);

	if (whole == 0 || whole == SIZE_MAX)
		return NULL;
	*size = whole - HEAD_SIZE;
	return bytes + HEAD_SIZE;
}

/* As text: etcd's bytes may hold anything, and end in no NUL. */
static char *copy_text(const ProtobufCBinaryData *data)
{
	return strndup(data->data ? (const char *)data->data : "", data->len);
}

static bool copy_key(struct etcd_key *key, const Etcdpb__KeyValue *from)
{
	key->key = copy_text(&from->key);
	key->value = copy_text(&from->value);
	key->create_revision = from->create_revision;
	key->lease = from->lease;
	return key->key && key->value;
}

static void free_key(const struct etcd_key *key)
{
	free((char *)key->key);
	free((char *)key->value);
}

static void free_found(const struct etcd_answer *answer)
{
	for (size_t i = 0; i < ETCD_MOST_OPS; i++) {
		for (size_t k = 0; k < answer->found[i].count; k++)
			free_key(&answer->found[i].keys[k]);
		free((struct etcd_key *)answer->found[i].keys);
	}
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

static bool decode_txn(struct etcd_answer *answer, const uint8_t *message, size_t size)
{
	Etcdpb__TxnResponse *txn = etcdpb__txn_response__unpack(NULL, size, message);
	bool good = txn && txn->n_responses <= ETCD_MOST_OPS;

	if (good) {
		set_header(answer, txn->header);
		answer->succeeded = txn->succeeded;
	}
	for (size_t i = 0; good && i < txn->n_responses; i++)
		good = copy_found(&answer->found[i], txn->responses[i]->response_range);
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
		good = decode_txn(&answer, message, size);
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
	free_found(&answer);
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
