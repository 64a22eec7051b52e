using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Metaparticle.Sync;
using Lock = Metaparticle.Sync.Lock; // System.Threading has one of its own

/// <summary>Programs that end while they stand, lead or drain.</summary>
internal static class Endings
{
    internal static int Play(string how, string url)
    {
        var begun = new ManualResetEvent(false);
        var election = new Election("x", new Options { Url = url }, () => begun.Set(), () => { });
        if (how == "standing")
            new Lock("x", url).WaitOne();
        var own = new Lock("own", url);
        own.WaitOne();
        AppDomain.CurrentDomain.ProcessExit += (sender, arguments) =>
            Console.WriteLine("at its end it holds: " + own.IsHeld);
        election.Waiting += (sender, waiting) => begun.Set();
        if (how == "draining")
            new Thread(() => election.LeadAsync(term =>
            {
                term.Ending.Register(() => begun.Set());
                election.Stop();
                return new TaskCompletionSource<bool>().Task;
            }).Wait()) { IsBackground = true }.Start();
        else
            new Thread(election.Run) { IsBackground = true }.Start();
        begun.WaitOne();
        if (how == "exiting")
            Environment.Exit(7);
        return 7;
    }

    /// <summary>This very program, with other arguments.</summary>
    internal static Process Start(string how, string url)
    {
        var words = File.ReadAllText("/proc/self/cmdline").Split('\0');
        var program = words.TakeWhile(word => !word.EndsWith(".exe") && !word.EndsWith(".dll")).Count();
        var arguments = string.Join(" ", words.Skip(1).Take(program)) + " end " + how + " " + url;
        return Process.Start(new ProcessStartInfo(File.Exists(words[0]) ? words[0] : "/usr/bin/" + words[0], arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true
        });
    }
}

/// <summary>Exits of every kind.</summary>
internal sealed partial class SyncTests
{
    /// <summary>
    /// A program ends while it stands, leads or drains; nothing is given up while its own hooks run, and all is free
    /// afterwards.
    /// </summary>
    public void Exits()
    {
        var folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        Directory.CreateDirectory(folder);
        var place = "file:" + folder + "/locks.db";
        foreach (var how in new[] { "standing", "leading", "draining", "exiting" })
        {
            using (var process = Endings.Start(how, place))
            {
                True(process.WaitForExit(Patience), how + ": it ends");
                Equal("at its end it holds: True", process.StandardOutput.ReadToEnd().Trim());
                Equal(7, process.ExitCode);
            }
            using (var one = new Lock("x", place))
            using (var own = new Lock("own", place))
            {
                one.Acquire(TimeSpan.FromMilliseconds(Patience));
                own.Acquire(TimeSpan.FromMilliseconds(Patience));
            }
        }
        Remove(folder);
    }
}
