package io.metaparticle.sync;

import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * One name that at most one candidate leads at a time.
 *
 * <p>{@link #lead} does a leader's work, term after term; {@link #campaign} and {@link #resign} are
 * its parts. {@link #run} and {@link #shutdown} are those of the first package.
 */
public class Election implements Runnable, LockListener, AutoCloseable {
  private final Handle handle;
  private final Runnable elected;
  private final Runnable terminate;
  private final Object state = new Object();
  private long number; // of the present run, or of the next one; guarded by state
  private boolean running;
  private boolean closed;
  private Thread stopper; // who has called shutdown since the last run

  /**
   * An election on the default URL.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param elected what {@link #run} calls when a term begins
   * @param terminate what {@link #run} calls when a term has ended
   */
  public Election(String name, Runnable elected, Runnable terminate) {
    this(name, new Options(), elected, terminate);
  }

  /**
   * An election on this URL, which may be any that the library knows.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param baseUrl {@code http://…}, {@code file:…}, {@code kubernetes:}, {@code etcd://…}
   * @param elected what {@link #run} calls when a term begins
   * @param terminate what {@link #run} calls when a term has ended
   */
  public Election(String name, String baseUrl, Runnable elected, Runnable terminate) {
    this(name, new Options().url(baseUrl), elected, terminate);
  }

  /**
   * An election with options, for {@link #lead} and {@link #campaign}.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param options where the election lives, and how a term is held
   */
  public Election(String name, Options options) {
    this(name, options, () -> {}, () -> {});
  }

  /**
   * An election with options, for {@link #run}.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param options where the election lives, and how a term is held
   * @param elected what {@link #run} calls when a term begins
   * @param terminate what {@link #run} calls when a term has ended
   */
  public Election(String name, Options options, Runnable elected, Runnable terminate) {
    this(Handle.election(Connection.shared(options.url), name, options), elected, terminate);
  }

  Election(Handle handle, Runnable elected, Runnable terminate) {
    this.handle = handle;
    this.elected = elected;
    this.terminate = terminate;
    number = handle.connection.number();
  }

  /**
   * Stand again and again, and do this work while this candidate leads, until {@link #stop}.
   *
   * @param work called at each term, on a thread of the package, which is interrupted when the term
   *     shall end; the term is given back when it has returned
   * @throws AlreadyHeldException if this object stands or leads already
   * @throws LockTimeoutException if the option {@code wait} ended without a term
   * @throws InterruptedException if the calling thread was interrupted, which stops the run
   */
  public void lead(Work work) throws InterruptedException {
    lead(work, null);
  }

  /**
   * As {@link #lead(Work)}.
   *
   * @param work called at each term
   * @param value what observers see of the leader, at most 16 KiB; null: nothing
   * @throws InterruptedException if the calling thread was interrupted, which stops the run
   */
  public void lead(Work work, String value) throws InterruptedException {
    play(new Run(handle, work, null), value, Calls.WAIT_AS_OPTION);
  }

  private void play(Run run, String value, long waitMs) throws InterruptedException {
    long own = begin();
    try {
      handle.runStart(run, own, value, waitMs);
      run.await(own);
    } finally {
      over();
    }
  }

  private long begin() {
    synchronized (state) {
      if (closed) {
        throw handle.closed();
      }
      if (running) {
        throw new AlreadyHeldException("the election \"" + handle.name + "\" is running already");
      }
      running = true;
      stopper = null;
      return number;
    }
  }

  private void over() {
    synchronized (state) {
      running = false;
      number = handle.connection.number();
      if (closed) {
        handle.end();
      }
    }
  }

  /**
   * End {@link #lead}, or the next one if none has begun: a candidate stands no more, a leader's
   * work is told. Returns at once; the term is renewed until the work has returned.
   */
  public void stop() {
    synchronized (state) {
      handle.runStop(number);
    }
  }

  /**
   * Stand, and wait until this candidate leads.
   *
   * @param value what observers see of the leader, at most 16 KiB; null: nothing
   * @return the term, which its {@code close} ends
   * @throws InterruptedException if the thread is interrupted; the request is withdrawn
   */
  public Held campaign(String value) throws InterruptedException {
    return handle.takeInterruptibly(value, Calls.WAIT_AS_OPTION);
  }

  /**
   * Stand, and wait no longer than this until this candidate leads.
   *
   * @param value what observers see of the leader, at most 16 KiB; null: nothing
   * @param time how long; 0 tries once
   * @param unit the unit of {@code time}
   * @return the term
   * @throws LockTimeoutException if another leads then
   * @throws InterruptedException if the thread is interrupted; the request is withdrawn
   */
  public Held campaign(String value, long time, TimeUnit unit) throws InterruptedException {
    return handle.takeInterruptibly(value, Calls.waitMs(time, unit));
  }

  /**
   * Stand without blocking.
   *
   * @param value what observers see of the leader, at most 16 KiB; null: nothing
   * @return completes, on a thread of the package, when this candidate leads; however else it ends,
   *     the request is withdrawn
   */
  public CompletableFuture<Held> campaignAsync(String value) {
    return handle.takeAsync(value, Calls.WAIT_AS_OPTION);
  }

  /**
   * End the present term, and wait until the store knows. In {@link #lead} and {@link #run} the
   * work is told, and this does not wait.
   *
   * @throws NotHeldException if this candidate does not lead
   */
  public void resign() {
    Held term = handle.present();
    if (term == null) {
      throw new NotHeldException("\"" + handle.name + "\" is not led by this candidate");
    }
    term.release();
  }

  /** End the waiting of another thread. */
  public void cancel() {
    handle.cancel();
  }

  /**
   * Whether this candidate leads now. Compares with the clock, so it is right after any pause.
   *
   * @return true until the term ends
   */
  public boolean isLeader() {
    return handle.isHeld();
  }

  /**
   * Change what observers see of the present term, and wait until the store has it.
   *
   * @param value what observers see of the leader, at most 16 KiB; null: nothing
   */
  public void setValue(String value) {
    handle.setValue(value);
  }

  /**
   * Ask who leads now.
   *
   * @return the leader, if anybody leads
   */
  public Optional<Leader> leader() {
    CompletableFuture<Optional<Leader>> first = new CompletableFuture<>();
    try (Observation observation = observe(first::complete)) {
      CompletableFuture.anyOf(first, observation.over()).join();
    }
    if (!first.isDone()) {
      throw SyncException.of(SyncException.CLOSED, "the client is closed");
    }
    return first.join();
  }

  /**
   * Tell who leads now, and then each change, one after the other, on threads of the package, until
   * the observation is closed.
   *
   * @param told is given the leader, or nothing when nobody leads
   * @return ends when it is closed
   */
  public Observation observe(Consumer<Optional<Leader>> told) {
    return new Observation(handle, told);
  }

  /**
   * Tell who leads while this candidate waits, one call after the other, on a thread of the
   * package.
   *
   * @param told takes the former one's place; null: none
   */
  public void onWaiting(Consumer<Waiting> told) {
    handle.onWaiting(told);
  }

  /**
   * Stand again and again until {@link #shutdown}.
   *
   * <p>At each term {@code elected} is called, on a thread of the package, and {@code terminate} on
   * another when the term shall end, exactly once, for whatever reason: an {@code elected} that is
   * still at work has to return then. The term is given back when both have returned.
   */
  @Override
  public void run() {
    synchronized (state) {
      if (stopper == Thread.currentThread()) {
        number = handle.connection.number(); // the shutdown was of a run before
      }
    }
    try {
      play(new Run(handle, term -> lockAcquired(), this::lockLost), null, Calls.WAIT_FOR_EVER);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * End {@link #run}: a leader's functions are told, a candidate stands no more. Returns at once.
   * It counts for a run that another thread is about to begin, but not, as in the first package,
   * for one that this thread begins afterwards.
   */
  public void shutdown() {
    synchronized (state) {
      if (!running) {
        stopper = Thread.currentThread();
      }
      stop();
    }
  }

  @Override
  public void lockAcquired() {
    elected.run();
  }

  @Override
  public void lockLost() {
    terminate.run();
  }

  /**
   * Resign, or cancel what is asked for, and use it no more. A run ends as by {@link #stop}, and is
   * not waited for.
   */
  @Override
  public void close() {
    synchronized (state) {
      closed = true;
      if (running) {
        stop();
        return;
      }
    }
    handle.end();
  }
}
