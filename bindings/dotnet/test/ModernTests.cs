#if NETCOREAPP
#nullable enable
using System;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using System.Threading;
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
        await using var client = new Client(NewOptions());
        await using (var lost = await new Lock("x", client).AcquireAsync())
        {
            ForceRelease();
            True(lost.Lost.WaitHandle.WaitOne(Patience), "it is lost");
        }
    }

    /// <summary><c>await using</c> releases without blocking, and throws nothing; clients close by it, too.</summary>
    public void AsyncDisposal()
    {
        ReleaseInTheEnd(NewLock()).Wait();
    }

    private async Task<string> Sees(int count, CancellationToken cancellation)
    {
        var seen = "";
        var election = new Election("x", new Options { Url = url, Identity = "me" });
        await foreach (var leader in election.ObserveAsync(cancellation))
        {
            seen += leader == null ? "-" : leader.Holder;
            if (--count == 0)
                return seen;
            if (leader == null)
                election.Campaign(null);
            else
                election.Resign();
        }
        return seen + ".";
    }

    /// <summary>Observers may be enumerated, until they leave, cancel, or the client closes.</summary>
    public void Enumerating()
    {
        Equal("-me-", Sees(3, CancellationToken.None).Result);
        using var source = new CancellationTokenSource();
        var cancelled = Sees(int.MaxValue, source.Token);
        source.Cancel();
        Throws<OperationCanceledException>(() => cancelled.GetAwaiter().GetResult());
        var client = new Client(NewOptions());
        var closed = Closes(new Election("x", client), client);
        True(closed.Wait(Patience), "the enumeration ends with its client");
    }

    private static async Task Closes(Election election, Client client)
    {
        await foreach (var leader in election.ObserveAsync())
            client.Dispose();
    }

    /// <summary>This package once more, in a load context of its own, which may be unloaded.</summary>
    private sealed class Context : AssemblyLoadContext
    {
        internal Context() : base(true)
        {
        }

        protected override Assembly? Load(AssemblyName name)
        {
            return null;
        }

        internal object New(string name)
        {
            var type = LoadFromAssemblyPath(typeof(Lock).Assembly.Location).GetType("Metaparticle.Sync.Lock")!;
            return Activator.CreateInstance(type, name, "memory:contexts")!;
        }
    }

    private static void Refused(Context context)
    {
        var refused = Throws<TargetInvocationException>(() => context.New(new string('n', 1025)));
        True(refused.InnerException is ArgumentException, "the name is refused");
    }

    /// <summary>Load contexts that share the native library get their own errors.</summary>
    public void TwoLoadContexts()
    {
        var one = new Context();
        var other = new Context();
        Refused(one);
        Refused(other);
        Refused(one);
        Throws<ArgumentException>(() => new Lock(new string('n', 1025), url));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference UseAndUnload()
    {
        var context = new Context();
        var one = context.New("x");
        one.GetType().GetMethod("WaitOne")!.Invoke(one, null);
        ((IDisposable)one).Dispose();
        context.Unload();
        return new WeakReference(context);
    }

    /// <summary>A load context that has used the package and disposed its locks can be unloaded.</summary>
    public void Unloading()
    {
        var context = UseAndUnload();
        Until(() => !context.IsAlive, "the context is collected");
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
