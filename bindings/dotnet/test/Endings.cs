using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>Programs that end in whatever way while they stand, lead or drain.</summary>
internal static class Endings
{
    /// <summary>Reaches the state, says so, waits for the end of its input, and ends in the way.</summary>
    internal static int Play(string state, string way, string name, string url)
    {
        var reached = new ManualResetEvent(false);
        var election = new Election(name, new Options { Url = url }, () => reached.Set(), () => { });
        var own = new Lock("own of " + name, url);
        own.WaitOne();
        AppDomain.CurrentDomain.ProcessExit += (sender, arguments) =>
            Console.WriteLine("at its end it holds: " + own.IsHeld);
        election.Waiting += (sender, waiting) => reached.Set();
        if (state == "draining")
            Beside(() => election.LeadAsync(term =>
            {
                term.Ending.Register(() => reached.Set());
                election.Stop();
                return new TaskCompletionSource<bool>().Task;
            }).Wait());
        else if (way == "inside")
            Beside(() => election.LeadAsync(term =>
            {
                Environment.Exit(7);
                return Task.FromResult(0);
            }).Wait());
        else
            Beside(election.Run);
        reached.WaitOne();
        if (way == "child")
            using (var child = Process.Start(new ProcessStartInfo("sleep", "600") { UseShellExecute = false }))
                Console.WriteLine(child.Id);
        Console.WriteLine("reached");
        Console.In.ReadToEnd();
        End(way);
        return 7;
    }

    private static void Beside(Action action)
    {
        new Thread(() => action()) { IsBackground = true }.Start();
    }

    private static void End(string way)
    {
        switch (way)
        {
            case "exit":
                Environment.Exit(7);
                break;
            case "throw":
                throw new Exception("the program's own");
            case "fail":
                Environment.FailFast("the program's own");
                break;
            case "TERM":
            case "KILL":
                Process.Start("kill", "-" + way + " " + Process.GetCurrentProcess().Id);
                Thread.Sleep(-1);
                break;
        }
    }

    /// <summary>This very program, with other arguments.</summary>
    internal static Process Start(string state, string way, string name, string url)
    {
        var words = File.ReadAllText("/proc/self/cmdline").Split('\0');
        var program = words.TakeWhile(word => !word.EndsWith(".exe") && !word.EndsWith(".dll")).Count();
        words[program] = Path.GetFullPath(words[program]);
        var arguments = string.Join(" ", words.Skip(1).Take(program).Concat(new[] { "end", state, way, name, url }));
        return Process.Start(new ProcessStartInfo(File.Exists(words[0]) ? words[0] : "/usr/bin/" + words[0], arguments)
        {
            WorkingDirectory = Path.GetDirectoryName(url.Substring("file:".Length)), // where a crash leaves its report
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        });
    }
}

/// <summary>Exits of every kind.</summary>
internal sealed partial class SyncTests
{
    private static readonly string[] States = { "standing", "leading", "draining" };

    /// <summary>What is done with a file that other processes see.</summary>
    private static void WithFile(Action<string> test)
    {
        var folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Directory.CreateDirectory(folder);
        test("file:" + folder + "/locks.db");
        Remove(folder);
    }

    private static void Free(string name, string place)
    {
        using (var next = new Lock(name, place))
            next.Acquire(TimeSpan.FromMilliseconds(Patience)).Release();
    }

    /// <summary>
    /// They end as they would without the lock, in whatever state; nothing is given up while their own hooks run, and
    /// all is free afterwards.
    /// </summary>
    public void Exits()
    {
        var ways = new[] { "return", "exit", "throw", "fail", "TERM", "KILL" };
        WithFile(place =>
        {
            foreach (var state in States)
            {
                var holders = ways.Select(way => new Lock(state + "-" + way, place)).ToArray();
                if (state == "standing")
                    foreach (var holder in holders)
                        holder.WaitOne();
                var programs = ways.Select(way => Endings.Start(state, way, state + "-" + way, place)).ToArray();
                for (var number = 0; number < ways.Length; number++)
                    using (var program = programs[number])
                    {
                        Ends(program, ways[number]);
                        holders[number].Dispose();
                        Free(state + "-" + ways[number], place);
                        Free("own of " + state + "-" + ways[number], place);
                    }
            }
        });
    }

    private static void Ends(Process program, string way)
    {
        Equal("reached", program.StandardOutput.ReadLine());
        program.StandardInput.Close();
        var said = program.StandardOutput.ReadToEnd().Trim();
        True(program.WaitForExit(Patience), way + ": it ends");
        True(program.ExitCode != 0, way + ": it says how");
        if (way != "return" && way != "exit")
            return;
        Equal("at its end it holds: True", said);
        Equal(7, program.ExitCode);
    }

    /// <summary>An exit in the work, which the exit does not wait for.</summary>
    public void ExitsInTheWork()
    {
        WithFile(place =>
        {
            using (var program = Endings.Start("leading", "inside", "x", place))
            {
                True(program.WaitForExit(Patience), "it ends");
                Equal(7, program.ExitCode);
            }
            Free("x", place);
        });
    }

    /// <summary>A child process holds nothing of its parent, whose death it survives.</summary>
    public void ChildProcesses()
    {
        WithFile(place =>
        {
            foreach (var state in States)
            {
                var holder = new Lock(state, place);
                if (state == "standing")
                    holder.WaitOne();
                using (var program = Endings.Start(state, "child", state, place))
                using (var child = Process.GetProcessById(int.Parse(program.StandardOutput.ReadLine())))
                {
                    Equal("reached", program.StandardOutput.ReadLine());
                    program.Kill();
                    holder.Dispose();
                    Free(state, place);
                    True(Directory.Exists("/proc/" + child.Id), "the child goes on");
                    child.Kill();
                }
            }
        });
    }
}
