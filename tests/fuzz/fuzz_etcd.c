/* What an etcd may answer, and what may stand in it: the first byte says which of these it is. */
#include "stores/etcd/names.h"
#include "stores/etcd/proto.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_INPUT 65536

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void on_done(struct etcd_call *call, const struct etcd_answer *answer)
{
	size_t length = 0;

	(void)call;
	for (size_t i = 0; i < ETCD_MOST_OPS; i++)
		for (size_t k = 0; k < answer->found[i].count; k++)
			length += strlen(answer->found[i].keys[k].key);
	if (length > MOST_INPUT)
		abort();
}

static void on_put(struct etcd_watch *watch, const struct etcd_key *key)
{
	struct etcd_facts facts;

	(void)watch;
	if (etcd_facts_read(&facts, key->value))
		etcd_facts_clear(&facts);
	free(etcd_facts_name("", key->key));
}

static void on_gone(struct etcd_watch *watch, const char *key, int64_t revision)
{
	(void)watch, (void)revision;
	free(etcd_facts_name("p/", key));
}

static void read_text(const uint8_t *bytes, size_t size)
{
	char *text = strndup((const char *)bytes, size);

	if (text)
		on_put(NULL, &(struct etcd_key){.key = text, .value = text});
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct etcd_call call = {.done = on_done};
	struct etcd_watch watch = {.put = on_put, .gone = on_gone};
	struct etcd_watch *watching = &watch;

	if (size == 0)
		return 0;
	switch (*bytes % 6) {
	case 3:
		etcd_decode_watch(&watching, bytes + 1, size - 1);
		break;
	case 4:
		read_text(bytes + 1, size - 1);
		break;
	case 5:
		free(etcd_decode_authenticate(bytes + 1, size - 1));
		break;
	default:
		call.kind = (enum etcd_call_kind)(*bytes % 6);
		etcd_decode(&call, bytes + 1, size - 1);
	}
	return 0;
}
