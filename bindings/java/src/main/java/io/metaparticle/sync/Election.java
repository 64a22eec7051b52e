package io.metaparticle.sync;

import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * One name that at most one candidate leads at a time.
 *
 * <p>{@link #run} is the loop of programs that act while they lead; {@link #campaign} and {@link
 * #resign} are its parts.
 */
public class Election implements Runnable, LockListener, AutoCloseable {
  private static final long RETRY_MS = 1000;

  private final Handle handle;
  private final Runnable elected;
  private final Runnable terminate;
  private final AtomicBoolean running = new AtomicBoolean();
  private volatile CountDownLatch stop = new CountDownLatch(1);

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
   * An election with options, for {@link #campaign}.
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
    handle = Handle.election(name, options);
    this.elected = elected;
    this.terminate = terminate;
  }

  /**
   * Stand, and wait until this candidate leads.
   *
   * @param value what observers see of the leader, at most 16 KiB; null: nothing
   * @return the term, which its {@code close} ends
   * @throws InterruptedException if the thread is interrupted; the request is withdrawn
   */
  public Held campaign(String value) throws InterruptedException {
    return handle.takeInterruptibly(value, Handle.WAIT_AS_OPTION);
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
    return handle.takeInterruptibly(value, Math.max(unit.toMillis(time), 0));
  }

  /**
   * Stand without blocking.
   *
   * @param value what observers see of the leader, at most 16 KiB; null: nothing
   * @return completes when this candidate leads; cancelling it withdraws the request
   */
  public CompletableFuture<Held> campaignAsync(String value) {
    return handle.takeAsync(value, Handle.WAIT_AS_OPTION);
  }

  /** End the present term, and wait until the store knows. */
  public void resign() {
    handle.takePresent().release();
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
    Held term = handle.present();
    return term != null && term.isHeld();
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
    Observation observation = observe(first::complete);
    try {
      return first.join();
    } finally {
      observation.close();
    }
  }

  /**
   * Tell who leads now, and then each change, one after the other, on the common pool, until the
   * observation is closed.
   *
   * @param told is given the leader, or nothing when nobody leads
   * @return ends when it is closed
   */
  public Observation observe(Consumer<Optional<Leader>> told) {
    return new Observation(handle, told);
  }

  /**
   * Stand again and again until {@link #shutdown}.
   *
   * <p>{@code elected} runs on this thread when a term begins; {@code terminate} on another when it
   * has ended, for whatever reason: an {@code elected} that is still at work has to return then.
   * The next term begins when both have returned.
   */
  @Override
  public void run() {
    if (!running.compareAndSet(false, true)) {
      throw new AlreadyHeldException("the election \"" + handle.name + "\" is running already");
    }
    try {
      while (stop.getCount() > 0) {
        Held term = nextTerm();
        if (term != null) {
          lead(term);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      stop = new CountDownLatch(1);
      running.set(false);
    }
  }

  private Held nextTerm() throws InterruptedException {
    try {
      Held term = handle.takeInterruptibly(null, Handle.WAIT_FOR_EVER);
      if (stop.getCount() > 0) {
        return term;
      }
      term.letGo();
      return null;
    } catch (SyncException e) {
      if (e.status() == SyncException.UNREACHABLE) {
        System.getLogger("io.metaparticle.sync").log(System.Logger.Level.WARNING, e.getMessage());
        stop.await(RETRY_MS, TimeUnit.MILLISECONDS);
      } else if (e.status() != SyncException.CANCELLED) {
        throw e;
      }
      return null;
    }
  }

  private void lead(Held term) throws InterruptedException {
    CompletableFuture<Void> over =
        CompletableFuture.anyOf(term.lost().toCompletableFuture(), stopped())
            .thenApply(any -> null);
    Thread watch =
        new Thread(
            () -> {
              over.join();
              lockLost();
            },
            "metaparticle-sync-term");
    watch.setDaemon(true);
    watch.start();
    try {
      lockAcquired();
      watch.join();
    } finally {
      term.letGo();
    }
  }

  private CompletableFuture<Void> stopped() {
    CountDownLatch latch = stop;
    CompletableFuture<Void> future = new CompletableFuture<>();
    stopping = future;
    if (latch.getCount() == 0) {
      future.complete(null);
    }
    return future;
  }

  private volatile CompletableFuture<Void> stopping = new CompletableFuture<>();

  /** End {@link #run}: a leader resigns, a candidate stands no more. Returns at once. */
  public void shutdown() {
    stop.countDown();
    handle.cancel();
    Held term = handle.present();
    if (term != null) {
      term.letGo();
    }
    stopping.complete(null);
  }

  @Override
  public void lockAcquired() {
    Client.guard(elected);
  }

  @Override
  public void lockLost() {
    Client.guard(terminate);
  }

  /** Resign, and cancel what is asked for. */
  @Override
  public void close() {
    if (isLeader()) {
      resign();
    } else {
      cancel();
    }
  }
}
