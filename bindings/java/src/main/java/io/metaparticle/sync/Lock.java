package io.metaparticle.sync;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;

/**
 * One name that at most one holder has at a time, on however many machines.
 *
 * <p>It is held by this object, not by a thread: any thread may release it, and locking it twice is
 * an error. Waiting threads may be interrupted where {@link java.util.concurrent.locks.Lock} says
 * so; virtual threads are not pinned while they wait. All exceptions are {@link SyncException}s.
 */
public final class Lock implements java.util.concurrent.locks.Lock, AutoCloseable {
  /** Where the elector next to this program listens; as a URL it means the default. */
  public static final String DEFAULT_BASE_URI = Client.DEFAULT_BASE_URI;

  private final Handle handle;
  private volatile LockListener listener;

  /** A lock on the default URL. */
  public Lock(String name) {
    this(name, new Options());
  }

  /** A lock on this URL, which may be any that the library knows. */
  public Lock(String name, String baseUri) {
    this(name, new Options().url(baseUri));
  }

  /**
   * A lock with options.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   */
  public Lock(String name, Options options) {
    handle = Handle.lock(name, options);
    handle.onLost(
        lost -> {
          LockListener told = listener;
          if (told != null) {
            Client.report(told::lockLost);
          }
        });
  }

  /** Who is told of what becomes of it; null: nobody. */
  public void setLockListener(LockListener listener) {
    this.listener = listener;
  }

  private Held tell(Held held) {
    LockListener told = listener;
    if (told != null) {
      Client.guard(told::lockAcquired);
    }
    return held;
  }

  /** Wait until it is held. For try-with-resources. */
  public Held acquire() throws InterruptedException {
    return tell(handle.takeInterruptibly(null, Handle.WAIT_AS_OPTION));
  }

  /**
   * Wait no longer than this.
   *
   * @throws LockTimeoutException if another holder has it then
   */
  public Held acquire(long time, TimeUnit unit) throws InterruptedException {
    return tell(handle.takeInterruptibly(null, Math.max(unit.toMillis(time), 0)));
  }

  /** Ask without blocking. Cancelling the future withdraws the request. */
  public CompletableFuture<Held> acquireAsync() {
    return handle.takeAsync(null, Handle.WAIT_AS_OPTION);
  }

  @Override
  public void lock() {
    tell(handle.take(null, Handle.WAIT_AS_OPTION));
  }

  @Override
  public void lockInterruptibly() throws InterruptedException {
    acquire();
  }

  @Override
  public boolean tryLock() {
    try {
      tell(handle.take(null, 0));
      return true;
    } catch (LockTimeoutException e) {
      return false;
    }
  }

  @Override
  public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
    try {
      acquire(time, unit);
      return true;
    } catch (LockTimeoutException e) {
      return false;
    }
  }

  /**
   * Release it, and wait until the store knows.
   *
   * @throws NotHeldException (an IllegalStateException) if it is not held
   */
  @Override
  public void unlock() {
    handle.takePresent().release();
  }

  /** Conditions are not offered. */
  @Override
  public Condition newCondition() {
    throw new UnsupportedOperationException("a distributed lock has no conditions");
  }

  /** End the waiting of another thread, which then throws a SyncException of status -6. */
  public void cancel() {
    handle.cancel();
  }

  /** Whether this object holds it now. */
  public boolean isHeld() {
    Held held = handle.present();
    return held != null && held.isHeld();
  }

  /** The present grant's token, or 0. */
  public long token() {
    Held held = handle.present();
    return held != null && held.isHeld() ? held.token() : 0;
  }

  /** Release what it holds, and cancel what it asks for. */
  @Override
  public void close() {
    if (isHeld()) {
      unlock();
    } else {
      cancel();
    }
  }
}
