/* Java: text as UTF-8 bytes (JNI's own encoding is another beyond the basic plane), 64 bits as long. */

%include "enumtypeunsafe.swg"
%javaconst(1);
%javaconst(0) MPSYNC_OP_AWAITED;
%apply long long { uint64_t, int64_t, unsigned long long };

%pragma(java) jniclasscode=%{
  static {
    Library.load();
  }
%}

%{
#include <stdlib.h>
#include <string.h>

static jbyteArray bytes_of(JNIEnv *env, const char *text)
{
	const jsize length = (jsize)strlen(text);
	jbyteArray bytes = (*env)->NewByteArray(env, length);

	if (bytes)
		(*env)->SetByteArrayRegion(env, bytes, 0, length, (const jbyte *)text);
	return bytes;
}

static void throw_error(JNIEnv *env, const mpsync_error *error)
{
	jclass type = (*env)->FindClass(env, "io/metaparticle/sync/internal/NativeException");
	jmethodID make = type ? (*env)->GetMethodID(env, type, "<init>", "(I[B)V") : NULL;
	jbyteArray message = make ? bytes_of(env, error->message) : NULL;
	jobject exception = message
	    ? (*env)->NewObject(env, type, make, (jint)error->status, message) : NULL;

	if (exception)
		(*env)->Throw(env, (jthrowable)exception);
}
%}

/* Thrown when the call returns: what was made for the arguments is freed on the way. */
%typemap(argout) mpsync_error *error {
	if ($1->status != MPSYNC_OK)
		throw_error(jenv, $1);
}

%typemap(jni) const char * "jbyteArray"
%typemap(jtype) const char * "byte[]"
%typemap(jstype) const char * "byte[]"
%typemap(javain) const char * "$javainput"
%typemap(javaout) const char * { return $jnicall; }
%typemap(in) const char * {
	$1 = NULL;
	if ($input) {
		const jsize length = (*jenv)->GetArrayLength(jenv, $input);

		$1 = (char *)calloc(1, (size_t)length + 1);
		if ($1)
			(*jenv)->GetByteArrayRegion(jenv, $input, 0, length, (jbyte *)$1);
	}
}
%typemap(freearg) const char * "free((void *)$1);"
%typemap(out) const char * "$result = $1 ? bytes_of(jenv, $1) : NULL;"

/* Freed by hand, at once: the collector has nothing to do with them. */
%typemap(javafinalize) mpsync_event, mpsync_lock_info ""
