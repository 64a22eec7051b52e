#if NETCOREAPP
#nullable enable
using System;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>What the modern target has and C# 7 cannot say. Warnings of nullability are errors here.</summary>
internal sealed partial class SyncTests
{
    private async Task ReleaseInTheEnd(Lock one)
    {
        await using (var held = await one.AcquireAsync())
            True(held.IsHeld, "it is held");
        True(!one.IsHeld, "it is released");
        var lost = await one.AcquireAsync();
        ForceRelease();
        while (lost.IsHeld)
            await Task.Yield();
        Throws<LockLostException>(() => lost.DisposeAsync().AsTask().GetAwaiter().GetResult());
    }

    /// <summary><c>await using</c> releases without blocking, and tells of a loss.</summary>
    public void AsyncDisposal()
    {
        ReleaseInTheEnd(NewLock()).Wait();
    }

    private async Task<string?> LeadersValue()
    {
        using var election = new Election("x", url, null, null);
        using (election.Observe((Leader? leader) => { }))
            election.Campaign(null);
        Leader? leader = await election.LeaderAsync();
        return leader?.Value;
    }

    /// <summary>Null is given and taken where the annotations allow it.</summary>
    public void Nulls()
    {
        var options = NewOptions();
        options.Url = null;
        string? noUrl = options.Url;
        var one = NewLock();
        one.Listener = null;
        LockListener? nobody = one.Listener;
        True(noUrl == null && nobody == null, "no URL is given, and nobody listens");
        Equal(null, LeadersValue().Result);
    }
}
#endif
