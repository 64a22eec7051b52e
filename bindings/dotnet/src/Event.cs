using System;

namespace Metaparticle.Sync
{
    /// <summary>An event of the C library, copied.</summary>
    internal sealed class Event
    {
        internal readonly mpsync_event_type Type;
        internal readonly int Status;
        internal readonly int Reason;
        internal readonly long Position;
        internal readonly ulong Op;
        internal readonly ulong Grant;
        internal readonly ulong Token;
        internal readonly TimeSpan Unchanged;
        internal readonly long LeftMs;
        internal readonly string Holder;
        internal readonly string Value;
        internal readonly string Message;

        /// <summary>Copies it, and frees it.</summary>
        internal Event(mpsync_event native)
        {
            Type = (mpsync_event_type)native.type;
            Status = native.status;
            Reason = native.reason;
            Position = native.position;
            Op = native.op_id;
            Grant = native.grant;
            Token = native.token;
            Unchanged = TimeSpan.FromMilliseconds(native.unchanged_ms);
            LeftMs = native.left_ms;
            Holder = Text.Of(native.holder);
            Value = Text.Of(native.value);
            Message = Text.Of(native.message);
            Native.mpsync_event_free(native);
        }

        /// <summary>What this event says, as an exception; null for success.</summary>
        internal Exception Failure
        {
            get
            {
                if (Status == 0)
                    return null;
                var said = Message ?? Text.Of(Native.mpsync_status_text(Status));
                if (Message == null && Holder != null)
                    said += ": " + Holder + " has it";
                return SyncException.Of(Status, said);
            }
        }

        /// <summary>Whether more will come for the same request.</summary>
        internal bool GoesOn =>
            Type == mpsync_event_type.MPSYNC_EVENT_WAITING || Type == mpsync_event_type.MPSYNC_EVENT_LEADER
            || Type == mpsync_event_type.MPSYNC_EVENT_LOG || Type == mpsync_event_type.MPSYNC_EVENT_TERM
            || Type == mpsync_event_type.MPSYNC_EVENT_ENDING;
    }
}
