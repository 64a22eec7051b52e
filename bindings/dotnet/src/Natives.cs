namespace Metaparticle.Sync
{
    /// <summary>The calls of the C library that a lock and an election have in common.</summary>
    internal abstract class Natives
    {
        internal abstract void Take(ulong number, byte[] value, long waitMs);
        internal abstract void Withdraw(ulong number);
        internal abstract void Cancel();
        internal abstract void Release(ulong number, ulong grant);
        internal abstract bool IsHeld(ulong grant);
        internal abstract long RemainingMs(ulong grant);
        internal abstract int LostReason(ulong grant);
    }

    internal sealed class NativeLock : Natives
    {
        private readonly SWIGTYPE_p_mpsync_lock own;

        internal NativeLock(SWIGTYPE_p_mpsync_client client, byte[] name, SWIGTYPE_p_mpsync_options options) =>
            own = Native.mpsync_lock_new(client, name, options);

        internal override void Take(ulong number, byte[] value, long waitMs) =>
            Native.mpsync_lock_acquire_start(own, number, waitMs);
        internal override void Withdraw(ulong number) => Native.mpsync_lock_withdraw(own, number);
        internal override void Cancel() => Native.mpsync_lock_cancel(own);
        internal override void Release(ulong number, ulong grant) =>
            Native.mpsync_lock_release_start(own, number, grant);
        internal override bool IsHeld(ulong grant) => Native.mpsync_lock_is_held(own, grant) != 0;
        internal override long RemainingMs(ulong grant) => Native.mpsync_lock_remaining_ms(own, grant);
        internal override int LostReason(ulong grant) => Native.mpsync_lock_lost_reason(own, grant);
    }

    internal sealed class NativeElection : Natives
    {
        private readonly SWIGTYPE_p_mpsync_election own;

        internal NativeElection(SWIGTYPE_p_mpsync_client client, byte[] name, SWIGTYPE_p_mpsync_options options) =>
            own = Native.mpsync_election_new(client, name, options);

        internal override void Take(ulong number, byte[] value, long waitMs) =>
            Native.mpsync_election_campaign_start(own, number, value, waitMs);
        internal override void Withdraw(ulong number) => Native.mpsync_election_withdraw(own, number);
        internal override void Cancel() => Native.mpsync_election_cancel(own);
        internal override void Release(ulong number, ulong grant) =>
            Native.mpsync_election_resign_start(own, number, grant);
        internal override bool IsHeld(ulong grant) => Native.mpsync_election_is_leader(own, grant) != 0;
        internal override long RemainingMs(ulong grant) => Native.mpsync_election_remaining_ms(own, grant);
        internal override int LostReason(ulong grant) => Native.mpsync_election_lost_reason(own, grant);

        internal void RunStart(ulong number, byte[] value, long waitMs) =>
            Native.mpsync_election_run_start(own, number, value, waitMs);
        internal void RunStop(ulong number) => Native.mpsync_election_run_stop(own, number);
        internal void TermDone(ulong grant, bool failed) =>
            Native.mpsync_election_term_done(own, grant, failed ? 1 : 0);
        internal void SetValue(ulong number, byte[] value) =>
            Native.mpsync_election_set_value_start(own, number, value);
    }
}
