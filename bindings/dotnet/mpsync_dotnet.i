/* C#: text as UTF-8 bytes, errors by way of a callback, and nothing of it public. */

%{
#include <stdlib.h>
%}

%insert(runtime) %{
#include <stdint.h>
typedef void (SWIGSTDCALL *error_callback)(int32_t status, const char *message);
static error_callback set_pending_error;
%}
%wrapper %{
SWIGEXPORT void SWIGSTDCALL mpsync_register_error(error_callback callback)
{
	set_pending_error = callback;
}
%}

%pragma(csharp) moduleclassmodifiers="internal class"
%pragma(csharp) imclassclassmodifiers="internal class"
%typemap(csclassmodifiers) SWIGTYPE, SWIGTYPE * "internal class"
%typemap(csclassmodifiers) enum SWIGTYPE "internal enum"

%pragma(csharp) imclasscode=%{
  private delegate void ErrorCallback(int status, global::System.IntPtr message);

  [global::System.Runtime.InteropServices.DllImport("mpsync_dotnet")]
  private static extern void mpsync_register_error(ErrorCallback callback);

  // Kept, for the native side calls it as long as the process lives.
  private static readonly ErrorCallback errorCallback = SetPendingError;

  private static void SetPendingError(int status, global::System.IntPtr message) {
    SWIGPendingException.Set(SyncException.Of(status, Text.Of(message)));
  }

  private sealed class Registration {
    internal Registration() {
      mpsync_register_error(errorCallback);
    }
  }

  internal static readonly object registration = new Registration();
%}

%typemap(argout, canthrow = 1) mpsync_error *error {
	if ($1->status != MPSYNC_OK) {
		set_pending_error($1->status, $1->message);
		return $null;
	}
}

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
