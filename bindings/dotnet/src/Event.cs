namespace Metaparticle.Sync
{
    /// <summary>An event of the C library, copied.</summary>
    internal sealed class Event
    {
        internal readonly mpsync_event_type Type;
        internal readonly int Status;
        internal readonly int Reason;
        internal readonly ulong Op;
        internal readonly ulong Lock;
        internal readonly ulong Grant;
        internal readonly ulong Token;
        internal readonly string Holder;
        internal readonly string Value;
        private readonly string message;

        /// <summary>Copies it, and frees it.</summary>
        internal Event(mpsync_event native)
        {
            Type = (mpsync_event_type)native.type;
            Status = native.status;
            Reason = native.reason;
            Op = native.op_id;
            Lock = native.lock_;
            Grant = native.grant;
            Token = native.token;
            Holder = Text.Of(native.holder);
            Value = Text.Of(native.value);
            message = Text.Of(native.message);
            Native.mpsync_event_free(native);
        }

        /// <summary>What this event says, as an exception; null for success.</summary>
        internal SyncException Failure
        {
            get
            {
                if (Status == 0)
                    return null;
                var said = message ?? Text.Of(Native.mpsync_status_text(Status));
                if (message == null && Holder != null)
                    said += ": " + Holder + " has it";
                return SyncException.Of(Status, said);
            }
        }

        /// <summary>Whether more will come for the same request.</summary>
        internal bool GoesOn
        {
            get
            {
                return Type == mpsync_event_type.MPSYNC_EVENT_WAITING
                    || Type == mpsync_event_type.MPSYNC_EVENT_LEADER
                    || Type == mpsync_event_type.MPSYNC_EVENT_LOG;
            }
        }
    }
}
