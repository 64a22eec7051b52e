using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>The runner of the conformance scenarios over the C# library; see README.md.</summary>
internal static class Runner
{
    private static readonly ConcurrentDictionary<string, object> Handles =
        new ConcurrentDictionary<string, object>();
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
    }

    private sealed class Listener : LockListener
    {
        private readonly string key;

        internal Listener(string key)
        {
            this.key = key;
        }

        public void LockAcquired()
        {
        }

        public void LockLost()
        {
            Tell(key, "lost");
        }
    }

    private static void Make(string verb, string key, string name, string ttl)
    {
        var options = new Options();
        if (ttl != "-")
            options.Set("ttl", ttl);
        if (verb == "lock")
            Handles[key] = new Lock(name, options) { Listener = new Listener(key) };
        else
            Handles[key] = new Election(name, options);
        Tell(key, "ok");
    }

    private static Held Take(object handle, string value, int waitMs)
    {
        var timeout = TimeSpan.FromMilliseconds(waitMs);
        var own = handle as Lock;
        if (own != null)
            return waitMs < 0 ? own.Acquire() : own.Acquire(timeout);
        var election = (Election)handle;
        return waitMs < 0 ? election.Campaign(value) : election.Campaign(value, timeout);
    }

    private static void Acquire(string key, string value, string waitMs)
    {
        var held = Take(Handles[key], value, int.Parse(waitMs));
        Tell(key, "held", held.Token);
        if (Handles[key] is Election)
            held.Lost.Register(() => Tell(key, "lost"));
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
        var key = words[1];
        switch (words[0])
        {
            case "lock":
            case "election":
                Attempt(key, () => Make(words[0], key, words[2], words[3]));
                break;
            case "acquire":
                InBackground(key, () => Acquire(key, null, words[2]));
                break;
            case "campaign":
                InBackground(key, () => Acquire(key, words[2], words[3]));
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
        for (var line = input.ReadLine(); line != null; line = input.ReadLine())
            Obey(line.Split('\t'));
    }
}
