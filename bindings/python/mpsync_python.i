/* Python: exceptions of metaparticle_sync._errors, events as tuples, waiting without the lock. */

%nothread;
%thread mpsync_queue_wait;
%thread mpsync_client_open;
%thread mpsync_client_close;
%thread mpsync_client_check;
%thread mpsync_client_list;
%thread mpsync_client_force_release;

%{
static void raise_status(const mpsync_error *error)
{
	PyObject *module = PyImport_ImportModule("metaparticle_sync._errors");
	PyObject *message = PyUnicode_DecodeUTF8(error->message, (Py_ssize_t)strlen(error->message), "replace");
	PyObject *exception = module && message
	    ? PyObject_CallMethod(module, "error_of", "iO", (int)error->status, message) : NULL;

	if (exception)
		PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
	Py_XDECREF(exception);
	Py_XDECREF(message);
	Py_XDECREF(module);
}

/* Text of a store is nobody's promise to be UTF-8. */
static PyObject *text_or_none(const char *text)
{
	if (!text)
		Py_RETURN_NONE;
	return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

/* The fields in the header's order; the event is freed. */
static PyObject *event_tuple(mpsync_event *event)
{
	PyObject *fields = Py_BuildValue("(iiiIKKKKLNNNNL)", (int)event->type, (int)event->status,
	    (int)event->reason, (unsigned)event->position, (unsigned long long)event->op_id,
	    (unsigned long long)event->lock, (unsigned long long)event->grant,
	    (unsigned long long)event->token, (long long)event->unchanged_ms,
	    text_or_none(event->name), text_or_none(event->holder), text_or_none(event->value),
	    text_or_none(event->message), (long long)event->left_ms);

	mpsync_event_free(event);
	return fields;
}
%}

%typemap(argout) mpsync_error *error {
	if ($1->status != MPSYNC_OK) {
		raise_status($1);
		SWIG_fail;
	}
}
%typemap(out) mpsync_event * {
	if ($1) {
		$result = event_tuple($1);
	} else {
		$result = Py_None;
		Py_INCREF(Py_None);
	}
}
%ignore mpsync_event;
%ignore mpsync_event_free;

/* Appends the event to the list itself, so that a signal's exception cannot come in between and lose it. */
%ignore mpsync_queue_wait_for;
%rename(mpsync_queue_wait_for) wait_for_end;
%inline %{
PyObject *wait_for_end(mpsync_queue *queue, uint64_t op_id, PyObject *ended)
{
	mpsync_event *event;
	PyObject *fields;
	int failed;

	Py_BEGIN_ALLOW_THREADS
	event = mpsync_queue_wait_for(queue, op_id);
	Py_END_ALLOW_THREADS
	if (event) {
		fields = event_tuple(event);
		failed = !fields || PyList_Append(ended, fields);
		Py_XDECREF(fields);
		if (failed)
			return NULL;
	}
	Py_RETURN_NONE;
}
%}
