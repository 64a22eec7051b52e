package io.metaparticle.sync;

import io.metaparticle.sync.internal.mpsync_event_type;
import io.metaparticle.sync.internal.mpsync_reason;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The run of an election: the C library stands, leads, and stands again; this calls the program's
 * functions, and tells the library when they have ended.
 */
final class Run extends Request {
  private final Handle handle;
  private final Work work;
  private final Runnable terminate;
  private final ClassLoader loader = Thread.currentThread().getContextClassLoader();
  private Term term;

  /**
   * A run that is not begun yet.
   *
   * @param terminate told of a term's end, which is over when it and the work have returned; null:
   *     the work is interrupted, and a term is over when it has returned
   */
  Run(Handle handle, Work work, Runnable terminate) {
    this.handle = handle;
    this.work = work;
    this.terminate = terminate;
  }

  /** Wait for the end of the run that was begun; an interrupt asks for it. */
  void await(long number) throws InterruptedException {
    boolean interrupted = false;
    while (!ended.isDone()) {
      try {
        ended.get();
      } catch (InterruptedException e) {
        interrupted = true;
        handle.runStop(number);
      } catch (java.util.concurrent.ExecutionException e) {
        throw new AssertionError(e); // it never completes so
      }
    }
    if (interrupted) {
      throw new InterruptedException();
    }
    result();
  }

  @Override
  void progress(Event event) {
    if (event.type() == mpsync_event_type.MPSYNC_EVENT_TERM) {
      term = new Term(new Held(handle, event.grant(), event.token(), true));
      term.begin();
    } else if (event.type() == mpsync_event_type.MPSYNC_EVENT_ENDING) {
      term.end(event);
    } else {
      handle.tell(event);
    }
  }

  private final class Term {
    private final Held held;
    private final AtomicBoolean stopping = new AtomicBoolean();
    private final CompletableFuture<Void> begun = new CompletableFuture<>();
    private final CompletableFuture<Boolean> worked = new CompletableFuture<>(); // has it failed?
    private final CompletableFuture<Void> stopped = new CompletableFuture<>();
    private Thread worker; // to be interrupted; guarded by this

    Term(Held held) {
      this.held = held;
      worked.thenAcceptBoth(stopped, (failed, none) -> done(failed));
    }

    void begin() {
      handle.begin(held);
      try {
        Callbacks.POOL.execute(this::work);
      } catch (Throwable e) { // no thread is to be had
        done(true);
        throw e;
      }
    }

    private void work() {
      Thread thread = Thread.currentThread();
      ClassLoader own = thread.getContextClassLoader();
      thread.setContextClassLoader(loader);
      boolean failed = runWork(thread);
      thread.setContextClassLoader(own);
      if (terminate == null) {
        stopped.complete(null);
      } else if (failed) {
        stop();
      }
      worked.complete(failed);
    }

    private boolean runWork(Thread thread) {
      setWorker(thread);
      begun.complete(null);
      try {
        work.run(held);
        return false;
      } catch (InterruptedException e) {
        return !stopping.get();
      } catch (Throwable e) {
        Callbacks.logger().log(System.Logger.Level.ERROR, "the work of a term failed", e);
        return true;
      } finally {
        setWorker(null);
        Thread.interrupted();
      }
    }

    private synchronized void setWorker(Thread thread) {
      worker = thread;
      interruptIfStopping();
    }

    private synchronized void interruptIfStopping() {
      if (worker != null && terminate == null && stopping.get()) {
        worker.interrupt();
      }
    }

    /** The program's functions are told on threads that read no events. */
    void end(Event event) {
      if (event.leftMs() == 0 && event.reason() < mpsync_reason.MPSYNC_REASON_ASKED) {
        held.lose(event.reason());
      } else {
        held.end(event.ending());
      }
      Callbacks.tell(this::stop);
    }

    private void stop() {
      if (!stopping.compareAndSet(false, true)) {
        return;
      }
      interruptIfStopping();
      if (terminate != null) {
        begun
            .thenRunAsync(() -> Callbacks.guard(terminate), Callbacks.POOL)
            .thenRun(() -> stopped.complete(null));
      }
    }

    private void done(boolean failed) {
      held.lookForLoss();
      held.forget();
      handle.termDone(held.grant, failed);
    }
  }
}
