#include "pump.h"

struct pump {
	mpsync_client *client;
	mpsync_queue *queue;
	napi_threadsafe_function function;
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

void stop(void *context)
{
	struct pump *pump = static_cast<struct pump *>(context);

	mpsync_queue_notify(pump->queue, nullptr, nullptr);
	napi_release_threadsafe_function(pump->function, napi_tsfn_abort);
	mpsync_client_close(pump->client);
	mpsync_queue_free(pump->queue);
	delete pump;
}

} // namespace

struct pump *pump_start(
    napi_env env, mpsync_client *client, mpsync_queue *queue, napi_value callback)
{
	struct pump *pump = new struct pump;
	napi_value name;

	pump->client = client;
	pump->queue = queue;
	napi_create_string_utf8(env, "metaparticle-sync", NAPI_AUTO_LENGTH, &name);
	napi_create_threadsafe_function(
	    env, callback, nullptr, name, 0, 1, nullptr, nullptr, pump, deliver, &pump->function);
	napi_unref_threadsafe_function(env, pump->function);
	mpsync_queue_notify(queue, notify, pump);
	napi_add_env_cleanup_hook(env, stop, pump);
	return pump;
}

void pump_ref(napi_env env, struct pump *pump, int wanted)
{
	if (wanted)
		napi_ref_threadsafe_function(env, pump->function);
	else
		napi_unref_threadsafe_function(env, pump->function);
}
