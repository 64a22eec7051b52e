/* Node: errors with a status, events as plain objects, and what brings them into the loop. */

%{
#include "pump.h"
%}

/* Thrown when the call returns: what was made for the arguments is freed on the way. */
%typemap(argout) mpsync_error *error {
	if ($1->status != MPSYNC_OK) {
		Napi::Error failure = Napi::Error::New(env, $1->message);
		failure.Set("status", Napi::Number::New(env, $1->status));
		failure.ThrowAsJavaScriptException();
	}
}
%ignore mpsync_event;
%ignore mpsync_event_free;
%ignore mpsync_queue_next;
%ignore mpsync_queue_wait;
%ignore mpsync_queue_wait_for;
%ignore mpsync_queue_notify;

%typemap(in, numinputs = 0) napi_env "$1 = info.Env();"
%typemap(in) napi_value callback "$1 = $input;"
%include "pump.h"
