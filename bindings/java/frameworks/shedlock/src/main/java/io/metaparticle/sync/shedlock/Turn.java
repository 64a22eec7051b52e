package io.metaparticle.sync.shedlock;

import io.metaparticle.sync.Held;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.SyncException;
import java.lang.System.Logger.Level;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** A grant that ends once: by its task, at a time, or by its loss. */
final class Turn {
  private static final System.Logger LOG = System.getLogger("io.metaparticle.sync");

  private final Lock lock;
  private final Held held;
  private final ScheduledExecutorService timer;
  private Future<?> ending; // guarded by this, as all below
  private long endings;
  private boolean over;

  Turn(Lock lock, Held held, ScheduledExecutorService timer) {
    this.lock = lock;
    this.held = held;
    this.timer = timer;
    held.lost().thenRun(() -> over("was lost under its task: another one may begin"));
  }

  static Thread thread(Runnable body, String name) {
    Thread thread = new Thread(null, body, name, 0, false);
    thread.setDaemon(true);
    return thread;
  }

  boolean isHeld() {
    return held.isHeld();
  }

  /** Ends at another time than was said before. */
  synchronized void endIn(long nanos, boolean underTask) {
    if (over) {
      return;
    }
    long number = ++endings;
    cancel();
    ending = timer.schedule(() -> due(number, underTask), nanos, TimeUnit.NANOSECONDS);
  }

  private void cancel() {
    if (ending != null) {
      ending.cancel(false);
    }
  }

  /** On a thread of its own: a store that is away holds up no other turn's end. */
  private synchronized void due(long number, boolean underTask) {
    if (number != endings || !begunToEnd()) {
      return;
    }
    if (underTask) {
      warn("lockAtMostFor is over before its task: released, and another one may begin");
    }
    thread(this::release, "metaparticle-sync-release").start();
  }

  void end() {
    if (begunToEnd()) {
      release();
    }
  }

  private void over(String why) {
    if (begunToEnd()) {
      warn(why);
      lock.close();
    }
  }

  private synchronized boolean begunToEnd() {
    boolean first = !over;
    over = true;
    cancel();
    return first;
  }

  private void release() {
    try {
      held.release();
    } catch (SyncException e) {
      warn(e.getMessage());
    } finally {
      lock.close();
    }
  }

  private void warn(String what) {
    LOG.log(Level.WARNING, "\"" + held.name() + "\": " + what);
  }
}
