#define TRACE // whatever the compiler is told: what goes wrong here is said
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;

namespace Metaparticle.Sync
{
    /// <summary>
    /// Calls functions of the program, one after the other. On a thread of its own, which is there while there is
    /// something to tell: the program's thread pool may be full, and what a function blocks is its own object's alone.
    /// </summary>
    internal sealed class Teller
    {
        private readonly Queue<Action> waiting = new Queue<Action>();
        private bool telling;

        internal void Tell(Action callback)
        {
            lock (waiting)
            {
                waiting.Enqueue(callback);
                if (telling)
                    return;
                telling = true;
            }
            new Thread(TellAll) { IsBackground = true, Name = "metaparticle-sync-tell" }.Start();
        }

        private void TellAll()
        {
            while (Next() is Action callback)
                Guard(callback);
        }

        private Action Next()
        {
            lock (waiting)
            {
                telling = waiting.Count > 0;
                return telling ? waiting.Dequeue() : null;
            }
        }

        /// <summary>Whether the program's function came to its end; what it throws is reported.</summary>
        internal static bool Guard(Action callback)
        {
            try
            {
                callback();
                return true;
            }
            catch (Exception thrown)
            {
                Report(thrown);
                return false;
            }
        }

        internal static void Report(Exception thrown) =>
            Trace.TraceError("metaparticle-sync: a callback threw " + thrown);

        internal static void Warn(string text) => Trace.TraceWarning("metaparticle-sync: " + text);
    }
}
