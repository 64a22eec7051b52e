/* C#: text as UTF-8 bytes, errors by the call's own thread, and nothing of it public. */

/*
 * A call that fails leaves its error with its thread, which throws it as soon as the call has returned. Nothing of it
 * belongs to the process: load contexts that share this library would take each other's exceptions. Hence SWIG's own
 * helpers, which are callbacks, are left out as well (SWIG_CSHARP_NO_EXCEPTION_HELPER, SWIG_CSHARP_NO_STRING_HELPER).
 */
%{
static __thread mpsync_error failure;
%}
%wrapper %{
SWIGEXPORT int32_t SWIGSTDCALL mpsync_failure(void)
{
	return failure.status;
}

SWIGEXPORT const char *SWIGSTDCALL mpsync_take_failure(void)
{
	failure.status = MPSYNC_OK;
	return failure.message;
}
%}

%pragma(csharp) moduleclassmodifiers="internal class"
%pragma(csharp) imclassclassmodifiers="internal class"
%typemap(csclassmodifiers) SWIGTYPE, SWIGTYPE * "internal class"
%typemap(csclassmodifiers) enum SWIGTYPE "internal enum"

%pragma(csharp) imclasscode=%{
  [global::System.Runtime.InteropServices.DllImport("mpsync_dotnet")]
  private static extern int mpsync_failure();

  [global::System.Runtime.InteropServices.DllImport("mpsync_dotnet")]
  private static extern global::System.IntPtr mpsync_take_failure();

  internal static class SWIGPendingException {
    internal static bool Pending {
      get { return mpsync_failure() != 0; }
    }

    internal static global::System.Exception Retrieve() {
      int status = mpsync_failure();
      return SyncException.Of(status, Text.Of(mpsync_take_failure()));
    }
  }
%}

%typemap(argout, canthrow = 1) mpsync_error *error {
	if ($1->status != MPSYNC_OK) {
		failure = *$1;
		return $null;
	}
}

/* The collector frees a handle that no call uses; at the end of the process nothing is given up. */
%define FREED(TYPE)
%typemap(csbody) struct TYPE * %{
  private readonly global::System.Runtime.InteropServices.HandleRef handle;

  internal $csclassname(global::System.IntPtr pointer, bool futureUse) {
    handle = new global::System.Runtime.InteropServices.HandleRef(this, pointer);
  }

  internal static global::System.Runtime.InteropServices.HandleRef getCPtr($csclassname given) {
    return given.handle;
  }

  ~$csclassname() {
    if (!global::System.Environment.HasShutdownStarted)
      Native.TYPE ## _free(this);
  }
%}
%enddef
FREED(mpsync_election)

/* Ending in NUL; null is NULL. */
%typemap(imtype) const char * "byte[]"
%typemap(imtype, out = "global::System.IntPtr") const char * "byte[]"
%typemap(cstype) const char * "byte[]"
%typemap(cstype, out = "global::System.IntPtr") const char * "byte[]"
%typemap(csin) const char * "$csinput"
%typemap(csout) const char * { return $imcall; }
%typemap(csvarout) const char * %{ get { return $imcall; } %}
%typemap(in) const char * "$1 = (char *)$input;"
%typemap(out) const char * "$result = (char *)$1;"
%typemap(ctype) const char * "char *"
%typemap(freearg) const char * ""

/* Freed by hand, at once. */
%typemap(csdisposing, methodname = "Dispose", methodmodifiers = "protected", parameters = "bool disposing") mpsync_event, mpsync_lock_info "{}"

/* A keyword in C#. */
%rename(lock_) mpsync_event::lock;
