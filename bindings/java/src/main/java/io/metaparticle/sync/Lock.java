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
public class Lock implements java.util.concurrent.locks.Lock, AutoCloseable {
  /** Where the elector next to this program listens; as a URL it means the default. */
  public static final String DEFAULT_BASE_URI = Client.DEFAULT_BASE_URI;

  private final Handle handle;
  private volatile LockListener listener;
  private volatile boolean ofFirstApi; // held by a call that returns no Held to be told by

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
    handle = Handle.lock(name, options);
    handle.onLost(
        lost -> {
          LockListener told = listener;
          if (told != null) {
            Client.report(told::lockLost);
          } else if (ofFirstApi) {
            Client.report(
                () -> {
                  throw lost;
                });
          }
        });
  }

  /**
   * Tell a listener when the lock is acquired or lost. Without one the loss of what {@link #lock},
   * {@link #lockInterruptibly} or {@code tryLock} acquired is an uncaught {@link LockLostException}
   * on a thread of its own.
   *
   * @param listener takes the former one's place; null: none
   */
  public void setLockListener(LockListener listener) {
    this.listener = listener;
  }

  private void tellFirstApi(Held held) {
    ofFirstApi = true;
    tell(held);
  }

  private Held tell(Held held) {
    LockListener told = listener;
    if (told != null) {
      Client.guard(told::lockAcquired);
    }
    return held;
  }

  /**
   * Wait until the lock is held. For try-with-resources.
   *
   * @return the grant, which its {@code close} releases
   * @throws InterruptedException if the thread is interrupted; the request is withdrawn
   */
  public Held acquire() throws InterruptedException {
    ofFirstApi = false;
    return tell(handle.takeInterruptibly(null, Handle.WAIT_AS_OPTION));
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
    ofFirstApi = false;
    return tell(handle.takeInterruptibly(null, Math.max(unit.toMillis(time), 0)));
  }

  /**
   * Ask without blocking.
   *
   * @return completes when the lock is held; cancelling it withdraws the request
   */
  public CompletableFuture<Held> acquireAsync() {
    return handle.takeAsync(null, Handle.WAIT_AS_OPTION);
  }

  @Override
  public void lock() {
    tellFirstApi(handle.take(null, Handle.WAIT_AS_OPTION));
  }

  @Override
  public void lockInterruptibly() throws InterruptedException {
    tellFirstApi(handle.takeInterruptibly(null, Handle.WAIT_AS_OPTION));
  }

  @Override
  public boolean tryLock() {
    try {
      tellFirstApi(handle.take(null, 0));
      return true;
    } catch (LockTimeoutException e) {
      return false;
    }
  }

  @Override
  public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
    try {
      tellFirstApi(handle.takeInterruptibly(null, Math.max(unit.toMillis(time), 0)));
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

  /**
   * Whether this object holds the lock now. Compares with the clock, so it is right after any
   * pause.
   *
   * @return true until the right ends
   */
  public boolean isHeld() {
    Held held = handle.present();
    return held != null && held.isHeld();
  }

  /**
   * The fencing token of the present grant.
   *
   * @return unsigned; 0 when the lock is not held
   */
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
