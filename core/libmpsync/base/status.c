#include "status.h"

#include <stdarg.h>
#include <stdio.h>

#define VERSION "1.0.0"

const char *mpsync_version(void)
{
	return VERSION;
}

const char *mpsync_status_text(int32_t status)
{
	switch ((mpsync_status)status) {
	case MPSYNC_OK:
		return "success";
	case MPSYNC_E_INVALID:
		return "an argument is not valid";
	case MPSYNC_E_HELD:
		return "held by another";
	case MPSYNC_E_LOST:
		return "the right ran out or was taken";
	case MPSYNC_E_UNREACHABLE:
		return "the store did not answer";
	case MPSYNC_E_TIMEOUT:
		return "the wait ended without it";
	case MPSYNC_E_CANCELLED:
		return "cancelled";
	case MPSYNC_E_NOT_HELD:
		return "not held";
	case MPSYNC_E_ALREADY_HELD:
		return "held, or asked for, already";
	case MPSYNC_E_FORBIDDEN:
		return "the store refuses";
	case MPSYNC_E_UNAUTHENTICATED:
		return "the store does not know who asks";
	case MPSYNC_E_FORKED:
		return "this handle belongs to the parent process; open a new client after fork()";
	case MPSYNC_E_CLOSED:
		return "the client is closed";
	case MPSYNC_E_NO_MEMORY:
		return "out of memory";
	case MPSYNC_E_UNSUPPORTED:
		return "this store cannot do that";
	case MPSYNC_E_CORRUPT:
		return "the record or file is not one of ours";
	case MPSYNC_E_INTERNAL:
		return "an error inside the library";
	}
	return "unknown status";
}

const char *mpsync_reason_text(int32_t reason)
{
	switch ((mpsync_reason)reason) {
	case MPSYNC_REASON_NONE:
		return "none";
	case MPSYNC_REASON_EXPIRED:
		return "expired";
	case MPSYNC_REASON_TAKEN:
		return "taken";
	case MPSYNC_REASON_DELETED:
		return "deleted";
	case MPSYNC_REASON_REVOKED:
		return "revoked";
	case MPSYNC_REASON_CLOCK:
		return "clock";
	case MPSYNC_REASON_OTHER_ELECTOR:
		return "other_elector";
	case MPSYNC_REASON_ASKED:
		return "asked";
	case MPSYNC_REASON_STOPPED:
		return "stopped";
	case MPSYNC_REASON_RETURNED:
		return "returned";
	case MPSYNC_REASON_CLOSED:
		return "closed";
	}
	return "unknown";
}

mpsync_status fail(mpsync_error *error, mpsync_status status, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return status;
	error->status = status;
	va_start(arguments, format);
	vsnprintf(error->message, sizeof error->message, format, arguments);
	va_end(arguments);
	return status;
}

mpsync_status succeed(mpsync_error *error)
{
	if (error)
		*error = (mpsync_error){0};
	return MPSYNC_OK;
}
