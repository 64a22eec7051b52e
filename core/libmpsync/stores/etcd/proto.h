/* Calls and answers as etcd's gRPC frames them: one byte, a length, a protobuf message. */
#ifndef MPSYNC_STORES_ETCD_PROTO_H
#define MPSYNC_STORES_ETCD_PROTO_H

#include "calls.h"

/* Owned by the caller; NULL without memory. */
struct etcd_bytes {
	uint8_t *bytes;
	size_t size;
};

const char *etcd_path_of(enum etcd_call_kind kind);
#define ETCD_WATCH_PATH        "/etcdserverpb.Watch/Watch"
#define ETCD_AUTHENTICATE_PATH "/etcdserverpb.Auth/Authenticate"

struct etcd_bytes etcd_encode(const struct etcd_call *call);
struct etcd_bytes etcd_encode_watch(const struct etcd_watch *watch);
struct etcd_bytes etcd_encode_authenticate(const char *user, const char *password);

/*
 * The size of the first message that has arrived, with its head; 0 while it is not whole, SIZE_MAX
 * when it cannot be a message.
 */
size_t etcd_message_size(const uint8_t *bytes, size_t size);

/*
 * The functions below read the first message that has arrived, if it is whole.
 *
 * Decodes an answer and hands it to `done`, during that call only. False: it is not what etcd
 * sends.
 */
bool etcd_decode(struct etcd_call *call, const uint8_t *bytes, size_t size);

/*
 * Tells the watch what one message says, until *watch is NULL: whoever is told may stop watching.
 * False: the watch is over, because it was compacted, or the message is not etcd's.
 */
bool etcd_decode_watch(struct etcd_watch *const *watch, const uint8_t *bytes, size_t size);

/* The token, owned by the caller; NULL: it is not what etcd sends. */
char *etcd_decode_authenticate(const uint8_t *bytes, size_t size);

#endif
