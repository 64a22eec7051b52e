#include "pump.h"

#include <functional>
#include <map>

struct pump {
	mpsync_client *client;
	mpsync_queue *queue;
	bool closes;
	napi_threadsafe_function function;
	std::map<uint64_t, std::function<void()>> frees; /* each handle, by its number */
};

namespace
{

void set(napi_env env, napi_value object, const char *name, napi_value value)
{
	napi_set_named_property(env, object, name, value);
}

void set_number(napi_env env, napi_value object, const char *name, double number)
{
	napi_value value;

	if (napi_create_double(env, number, &value) == napi_ok)
		set(env, object, name, value);
}

void set_text(napi_env env, napi_value object, const char *name, const char *text)
{
	napi_value value;
	const napi_status status = text ? napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value)
	                                : napi_get_null(env, &value);

	if (status == napi_ok)
		set(env, object, name, value);
}

napi_value event_object(napi_env env, const mpsync_event *event)
{
	napi_value object = nullptr;
	napi_value token;

	if (napi_create_object(env, &object) != napi_ok)
		return nullptr;
	set_number(env, object, "type", event->type);
	set_number(env, object, "status", event->status);
	set_number(env, object, "reason", event->reason);
	set_number(env, object, "position", event->position);
	set_number(env, object, "opId", static_cast<double>(event->op_id));
	set_number(env, object, "lock", static_cast<double>(event->lock));
	set_number(env, object, "grant", static_cast<double>(event->grant));
	set_number(env, object, "leftMs", static_cast<double>(event->left_ms));
	/* Tokens may exceed what a Number can hold. */
	if (napi_create_bigint_uint64(env, event->token, &token) == napi_ok)
		set(env, object, "token", token);
	set_text(env, object, "holder", event->holder);
	set_text(env, object, "value", event->value);
	set_text(env, object, "message", event->message);
	return object;
}

void notify(void *context)
{
	struct pump *pump = static_cast<struct pump *>(context);

	/* It fails only while a worker is terminated; then there is nobody to tell. */
	napi_call_threadsafe_function(pump->function, nullptr, napi_tsfn_nonblocking);
}

/* One event at a time, and then itself again: so promises go on between two events. */
void deliver(napi_env env, napi_value callback, void *context, void *data)
{
	struct pump *pump = static_cast<struct pump *>(context);
	mpsync_event *event = env && callback ? mpsync_queue_next(pump->queue) : nullptr;
	napi_value object;
	napi_value receiver;

	(void)data;
	if (!event)
		return;
	notify(pump);
	object = event_object(env, event);
	mpsync_event_free(event);
	if (object && napi_get_undefined(env, &receiver) == napi_ok)
		napi_call_function(env, receiver, callback, 1, &object, nullptr);
}

/* What the loop has not been handed yet is dropped. */
void stop(struct pump *pump)
{
	mpsync_queue_notify(pump->queue, nullptr, nullptr);
	napi_release_threadsafe_function(pump->function, napi_tsfn_abort);
}

void close(struct pump *pump)
{
	for (auto &handle : pump->frees)
		handle.second();
	pump->frees.clear();
	mpsync_client_close(pump->client);
	mpsync_queue_free(pump->queue);
}

void on_environment_end(void *context)
{
	struct pump *pump = static_cast<struct pump *>(context);

	stop(pump);
	if (pump->closes)
		close(pump);
}

void on_function_end(napi_env, void *, void *context)
{
	delete static_cast<struct pump *>(context);
}

} // namespace

struct pump *pump_start(
    napi_env env, mpsync_client *client, mpsync_queue *queue, int closes, napi_value callback)
{
	struct pump *pump = new ::pump{client, queue, closes != 0, nullptr, {}};
	napi_value name;

	napi_create_string_utf8(env, "metaparticle-sync", NAPI_AUTO_LENGTH, &name);
	napi_create_threadsafe_function(env, callback, nullptr, name, 0, 1, nullptr, on_function_end,
	    pump, deliver, &pump->function);
	napi_unref_threadsafe_function(env, pump->function);
	mpsync_queue_notify(queue, notify, pump);
	napi_add_env_cleanup_hook(env, on_environment_end, pump);
	return pump;
}

void pump_ref(napi_env env, struct pump *pump, int wanted)
{
	if (wanted)
		napi_ref_threadsafe_function(env, pump->function);
	else
		napi_unref_threadsafe_function(env, pump->function);
}

void pump_keep_lock(struct pump *pump, mpsync_lock *lock)
{
	pump->frees[mpsync_lock_id(lock)] = [lock] { mpsync_lock_free(lock); };
}

void pump_keep_election(struct pump *pump, mpsync_election *election)
{
	pump->frees[mpsync_election_id(election)] = [election] { mpsync_election_free(election); };
}

void pump_free(struct pump *pump, uint64_t id)
{
	const auto handle = pump->frees.find(id);

	if (handle == pump->frees.end())
		return;
	handle->second();
	pump->frees.erase(handle);
}

void pump_end(napi_env env, struct pump *pump)
{
	napi_remove_env_cleanup_hook(env, on_environment_end, pump);
	stop(pump);
	close(pump);
}
