/*
 * The header for SWIG's languages. What differs from language to language is here and nowhere
 * else: how a failed call becomes an exception, how names and tokens cross, and what an event is.
 * The classes that programs use are written by hand in each language's folder.
 */
%module mpsync_native

%{
#include <mpsync.h>
#include <stdlib.h>

/* A second is long enough for a server that answers, and short enough for who waits for the end. */
static void release_at_exit(void)
{
	mpsync_exit(1000, NULL);
}

/* At the very end, after all that the program and its runtime do at theirs. */
__attribute__((constructor)) static void register_exit(void)
{
	atexit(release_at_exit);
}
%}

%include <stdint.i>

/* The error never shows in a signature: it becomes the language's exception. */
%ignore mpsync_error;
%typemap(in, numinputs = 0) mpsync_error *error (mpsync_error error) {
	error.status = MPSYNC_OK;
	$1 = &error;
}
%immutable;
%nodefaultctor;
%nodefaultdtor;

#if defined(SWIGPYTHON)
%include "python/mpsync_python.i"
#elif defined(SWIGJAVASCRIPT)
%include "node/mpsync_node.i"
#elif defined(SWIGJAVA)
%include "java/mpsync_java.i"
#elif defined(SWIGCSHARP)
%include "dotnet/mpsync_dotnet.i"
#endif

%include "../include/mpsync.h"

#if defined(SWIGJAVA) || defined(SWIGCSHARP)
%inline %{
/* A lock or an election, by the type that has the calls of both: an election is a lock with a value. */
static mpsync_election *mpsync_handle_new(mpsync_client *client, const char *name,
    const mpsync_options *options, int32_t is_election, mpsync_error *error)
{
	return is_election ? mpsync_election_new(client, name, options, error)
	                   : (mpsync_election *)mpsync_lock_new(client, name, options, error);
}
%}
#endif
