using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>The runner of the conformance scenarios over the C# library; see README.md.</summary>
internal static class Runner
{
    private static readonly ConcurrentDictionary<string, object> Handles =
        new ConcurrentDictionary<string, object>();
    private static readonly ConcurrentDictionary<string, CancellationTokenSource> Cuts =
        new ConcurrentDictionary<string, CancellationTokenSource>();
    private static readonly ConcurrentDictionary<string, TaskCompletionSource<bool>> Works =
        new ConcurrentDictionary<string, TaskCompletionSource<bool>>();
    private static readonly Client Client = new Client((string)null);
    private static readonly TextWriter Output =
        TextWriter.Synchronized(new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true });

    private static void Tell(params object[] words)
    {
        Output.WriteLine(string.Join("\t", words));
    }

    private static void Attempt(string key, Action action)
    {
        try
        {
            action();
        }
        catch (LockTimeoutException)
        {
            Tell(key, "busy");
        }
        catch (SyncException failure)
        {
            Tell(key, "error", failure.Status);
        }
        catch (ArgumentException)
        {
            Tell(key, "error", -1);
        }
    }

    private static void Make(string verb, string key, string name, string ttl)
    {
        var options = new Options();
        if (ttl != "-")
            options.Set("ttl", ttl);
        if (verb == "lock")
            Handles[key] = new Lock(name, Client, options);
        else
            Handles[key] = new Election(name, Client, options);
        Tell(key, "ok");
    }

    private static void Holds(string key, Held held)
    {
        Tell(key, "held", held.Token);
        held.Lost.Register(() => Tell(key, "lost"));
    }

    private static void Acquire(string key, int waitMs, CancellationTokenSource cut)
    {
        try
        {
            var timeout = TimeSpan.FromMilliseconds(waitMs); // -1 ms is for ever
            var held = ((Lock)Handles[key]).AcquireAsync(timeout, cut.Token).GetAwaiter().GetResult();
            Holds(key, held);
        }
        catch (OperationCanceledException)
        {
            Tell(key, "cut");
        }
    }

    private static void Campaign(string key, string value, int waitMs)
    {
        var held = ((Election)Handles[key]).Campaign(value, TimeSpan.FromMilliseconds(waitMs));
        Holds(key, held);
    }

    private static void Lead(string key, string value)
    {
        ((Election)Handles[key]).LeadAsync(term => Work(key, term), value).GetAwaiter().GetResult();
        Tell(key, "over");
    }

    private static string Left(TimeSpan left)
    {
        return left == TimeSpan.Zero ? "none" : left == Timeout.InfiniteTimeSpan ? "all" : "some";
    }

    private static async Task Work(string key, Held term)
    {
        var done = Works[key] = new TaskCompletionSource<bool>();
        Tell(key, "term", term.Token);
        using (term.Ending.Register(() => Tell(key, "ending", term.EndingReason, Left(term.EndingLeft))))
        {
            if (!await done.Task)
                throw new Exception("the work fails");
        }
    }

    private static void Done(string key, bool well)
    {
        TaskCompletionSource<bool> work;
        if (Works.TryRemove(key, out work))
            work.SetResult(well);
    }

    private static void TellWaits(string key)
    {
        EventHandler<WaitingEventArgs> told =
            (sender, waiting) => Tell(key, "waits", waiting.Holder ?? "-", waiting.Position);
        var own = Handles[key] as Lock;
        if (own != null)
            own.Waiting += told;
        else
            ((Election)Handles[key]).Waiting += told;
    }

    private static void Collect(string key)
    {
        object handle;
        Handles.TryRemove(key, out handle);
        handle = null;
        for (var time = 0; time < 2; time++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Tell(key, "collected");
    }

    private static void Release(string key)
    {
        var own = Handles[key] as Lock;
        if (own != null)
            own.Release();
        else
            ((Election)Handles[key]).Resign();
        Tell(key, "released");
    }

    private static void Cancel(string key)
    {
        var own = Handles[key] as Lock;
        if (own != null)
            own.Cancel();
        else
            ((Election)Handles[key]).Cancel();
    }

    private static void IsHeld(string key)
    {
        var own = Handles[key] as Lock;
        Tell(key, (own != null ? own.IsHeld : ((Election)Handles[key]).IsLeader) ? "yes" : "no");
    }

    private static void Leader(string key)
    {
        var leader = ((Election)Handles[key]).LeaderAsync().Result;
        if (leader == null)
            Tell(key, "leader", "-");
        else
            Tell(key, "leader", leader.Holder, leader.Value, leader.Token);
    }

    private static void Sees(string key, Leader leader)
    {
        if (leader == null)
            Tell(key, "sees", "-");
        else
            Tell(key, "sees", leader.Holder, leader.Value);
    }

    private static void Count(string key, string file, int times)
    {
        var own = (Lock)Handles[key];
        for (var turn = 0; turn < times; turn++)
        {
            using (var held = own.Acquire())
            {
                File.WriteAllText(file, (long.Parse(File.ReadAllText(file)) + 1).ToString());
                Tell(key, "turn", held.Token);
            }
        }
        Tell(key, "done");
    }

    private static long Nanoseconds
    {
        get { return (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency)); }
    }

    private static void Speed(string key, int times)
    {
        using (var held = ((Lock)Handles[key]).Acquire())
        {
            var began = Nanoseconds;
            for (var call = 0; call < times; call++)
            {
                if (!held.IsHeld)
                    return;
            }
            Tell(key, "ns", (Nanoseconds - began) / times);
        }
    }

    private static void Pass(string key, int times)
    {
        var seen = new List<object> { key, "times" };
        for (var turn = 0; turn < times; turn++)
        {
            using (((Lock)Handles[key]).Acquire())
            {
                seen.Add(Nanoseconds);
                Thread.Sleep(3);
                seen.Add(Nanoseconds);
            }
            Thread.Sleep(1);
        }
        Tell(seen.ToArray());
    }

    private static void Drop(string key)
    {
        object handle;
        if (Handles.TryRemove(key, out handle))
            ((IDisposable)handle).Dispose();
        Tell(key, "dropped");
    }

    private static void InBackground(string key, Action action)
    {
        new Thread(() => Attempt(key, action)) { IsBackground = true }.Start();
    }

    private static void Obey(string[] words)
    {
        var key = words.Length > 1 ? words[1] : null;
        switch (words[0])
        {
            case "lock":
            case "election":
                Attempt(key, () => Make(words[0], key, words[2], words[3]));
                break;
            case "acquire":
                var cut = Cuts[key] = new CancellationTokenSource();
                InBackground(key, () => Acquire(key, int.Parse(words[2]), cut));
                break;
            case "campaign":
                InBackground(key, () => Campaign(key, words[2], int.Parse(words[3])));
                break;
            case "lead":
                InBackground(key, () => Lead(key, words[2]));
                break;
            case "done":
                Done(key, words.Length < 3);
                break;
            case "stop":
                ((Election)Handles[key]).Stop();
                break;
            case "resign":
                Attempt(key, ((Election)Handles[key]).Resign);
                break;
            case "cut":
                Cuts[key].Cancel();
                break;
            case "waits":
                TellWaits(key);
                break;
            case "collect":
                Collect(key);
                break;
            case "close":
                Client.Dispose();
                Tell(0, "closed");
                break;
            case "cancel":
                Cancel(key);
                break;
            case "release":
                Attempt(key, () => Release(key));
                break;
            case "held":
                IsHeld(key);
                break;
            case "value":
                Attempt(key, () =>
                {
                    ((Election)Handles[key]).SetValue(words[2]);
                    Tell(key, "done");
                });
                break;
            case "leader":
                Leader(key);
                break;
            case "observe":
                ((Election)Handles[key]).Observe(leader => Sees(key, leader));
                break;
            case "count":
                InBackground(key, () => Count(key, words[2], int.Parse(words[3])));
                break;
            case "speed":
                InBackground(key, () => Speed(key, int.Parse(words[2])));
                break;
            case "pass":
                InBackground(key, () => Pass(key, int.Parse(words[2])));
                break;
            case "drop":
                Drop(key);
                break;
        }
    }

    private static void Main()
    {
        var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        for (var line = input.ReadLine(); line != "exit"; line = input.ReadLine())
        {
            if (line == null)
            {
                Client.Dispose();
                return;
            }
            Obey(line.Split('\t'));
        }
    }
}
