package io.metaparticle.sync;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * One name that at most one holder has at a time, on however many machines.
 *
 * <p>Threads that share the object wait for one another; a thread that holds it and locks it again
 * is in error. Any thread may release it. Waiting threads may be interrupted where {@link
 * java.util.concurrent.locks.Lock} says so; virtual threads are not pinned while they wait. What is
 * held lasts until it is released or lost, whether or not the program still refers to this object.
 */
public class Lock implements java.util.concurrent.locks.Lock, AutoCloseable {
  /** Where the elector next to this program listens; as a URL it means the default. */
  public static final String DEFAULT_BASE_URI = Connection.DEFAULT_BASE_URI;

  private final Owners owners;
  private volatile LockListener listener;
  private volatile Consumer<Waiting> onWaiting;

  /**
   * A lock on the default URL.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   */
  public Lock(String name) {
    this(name, new Options());
  }

  /**
   * A lock on this URL, which may be any that the library knows.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param baseUri {@code http://…}, {@code file:…}, {@code kubernetes:}, {@code etcd://…}
   */
  public Lock(String name, String baseUri) {
    this(name, new Options().url(baseUri));
  }

  /**
   * A lock with options.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param options where the lock lives, and how it is held
   */
  public Lock(String name, Options options) {
    this(maker(name, options.copy()));
  }

  private static Supplier<Handle> maker(String name, Options options) {
    return () -> Handle.lock(Connection.shared(options.url), name, options);
  }

  Lock(Supplier<Handle> maker) {
    owners =
        new Owners(
            () -> {
              Handle handle = maker.get();
              handle.onLost(this::lost);
              handle.onWaiting(onWaiting);
              return handle;
            });
  }

  private void lost(Held held, LockLostException lost) {
    LockListener told = listener;
    if (told != null) {
      Callbacks.tell(told::lockLost);
    } else if (held.ofFirstApi) {
      Callbacks.POOL.execute(
          () -> {
            throw lost; // uncaught, on a thread of its own
          });
    }
  }

  /**
   * Tell a listener when the lock is acquired or lost; and, of what {@link #lock}, {@link
   * #lockInterruptibly} or {@code tryLock} acquired, when it is unlocked, as the first package did.
   * Without a listener the loss of what these acquired is an uncaught {@link LockLostException} on
   * a thread of its own.
   *
   * @param listener takes the former one's place; null: none
   */
  public void setLockListener(LockListener listener) {
    this.listener = listener;
  }

  /**
   * Tell who has the lock while requests wait for it, one call after the other, on a thread of the
   * package.
   *
   * @param told takes the former one's place; null: none
   */
  public void onWaiting(Consumer<Waiting> told) {
    onWaiting = told;
    owners.forEach(handle -> handle.onWaiting(told));
  }

  /**
   * For calls that return no Held. What the listener throws comes out of them, without the lock.
   */
  private void tellFirstApi(Held held) {
    held.ofFirstApi = true;
    LockListener told = listener;
    if (told == null) {
      return;
    }
    try {
      told.lockAcquired();
    } catch (Throwable e) {
      owners.take().release();
      throw e;
    }
  }

  private Held tell(Held held) {
    LockListener told = listener;
    if (told != null) {
      Callbacks.guard(told::lockAcquired);
    }
    return held;
  }

  private Held take(long waitMs) {
    return owners.own(owners.claim().take(null, waitMs));
  }

  private Held takeInterruptibly(long waitMs) throws InterruptedException {
    return owners.own(owners.claim().takeInterruptibly(null, waitMs));
  }

  /**
   * Wait until the lock is held. For try-with-resources.
   *
   * @return the grant, which its {@code close} releases
   * @throws InterruptedException if the thread is interrupted; the request is withdrawn
   */
  public Held acquire() throws InterruptedException {
    return tell(takeInterruptibly(Calls.WAIT_AS_OPTION));
  }

  /**
   * Wait no longer than this until the lock is held.
   *
   * @param time how long; 0 tries once
   * @param unit the unit of {@code time}
   * @return the grant
   * @throws LockTimeoutException if another holder has it then
   * @throws InterruptedException if the thread is interrupted; the request is withdrawn
   */
  public Held acquire(long time, TimeUnit unit) throws InterruptedException {
    return tell(takeInterruptibly(Calls.waitMs(time, unit)));
  }

  /**
   * Ask without blocking. The grant is no thread's own, so each call waits behind the others.
   *
   * @return completes, on a thread of the package, when the lock is held; however else it ends, by
   *     {@code cancel}, {@code orTimeout} or {@code completeExceptionally}, the request is
   *     withdrawn
   */
  public CompletableFuture<Held> acquireAsync() {
    return owners.claimForFuture().takeAsync(null, Calls.WAIT_AS_OPTION);
  }

  @Override
  public void lock() {
    tellFirstApi(take(Calls.WAIT_AS_OPTION));
  }

  @Override
  public void lockInterruptibly() throws InterruptedException {
    tellFirstApi(takeInterruptibly(Calls.WAIT_AS_OPTION));
  }

  @Override
  public boolean tryLock() {
    try {
      tellFirstApi(take(0));
      return true;
    } catch (LockTimeoutException e) {
      return false;
    }
  }

  @Override
  public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
    try {
      tellFirstApi(takeInterruptibly(Calls.waitMs(time, unit)));
      return true;
    } catch (LockTimeoutException e) {
      return false;
    }
  }

  /**
   * Release what this thread has, or else another thread, and wait until the store knows. After a
   * loss that a listener was told of there is nothing to do.
   *
   * @throws NotHeldException (an IllegalStateException) if it is not held
   */
  @Override
  public void unlock() {
    Held held = owners.take();
    LockListener told = listener;
    try {
      held.release();
    } catch (NotHeldException e) {
      if (told == null || !held.isLost()) {
        throw e;
      }
      return;
    }
    if (told != null && held.ofFirstApi) {
      Callbacks.guard(told::lockLost);
    }
  }

  /** Conditions are not offered. */
  @Override
  public Condition newCondition() {
    throw new UnsupportedOperationException("a distributed lock has no conditions");
  }

  /** End the waiting of other threads, which then throw a SyncException of status -6. */
  public void cancel() {
    owners.forEach(Handle::cancel);
  }

  /**
   * Whether this object holds the lock now. Compares with the clock, so it is right after any
   * pause.
   *
   * @return true until the right ends
   */
  public boolean isHeld() {
    return owners.present() != null;
  }

  /**
   * The fencing token of the present grant.
   *
   * @return unsigned; 0 when the lock is not held
   */
  public long token() {
    Held held = owners.present();
    return held == null ? 0 : held.token();
  }

  /** Release what it holds, cancel what it asks for, and use it no more. */
  @Override
  public void close() {
    owners.close();
  }
}
