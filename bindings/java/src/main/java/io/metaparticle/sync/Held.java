package io.metaparticle.sync;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/**
 * One grant of a lock, or one term of a leader. It stays ended when it has ended. For
 * try-with-resources; safe for use by many threads.
 */
public final class Held implements AutoCloseable {
  private final Handle handle;
  private final long grant;
  private final long token;
  private final CompletableFuture<Void> lost = new CompletableFuture<>();
  private volatile LockLostException loss;
  private volatile boolean ended;

  Held(Handle handle, long grant, long token) {
    this.handle = handle;
    this.grant = grant;
    this.token = token;
  }

  boolean isOf(Event event) {
    return event.grant() == grant;
  }

  /**
   * Whether this very grant is held now. Compares with the clock, so it is right after any pause.
   *
   * @return true until the right ends
   */
  public boolean isHeld() {
    return handle.isHeld(grant);
  }

  /**
   * How long the right lasts unless it is renewed.
   *
   * @return zero when the grant is not held
   */
  public Duration remaining() {
    return handle.remaining(grant);
  }

  /**
   * The fencing token, greater than that of every earlier grant of the name.
   *
   * @return unsigned
   */
  public long token() {
    return token;
  }

  /**
   * The name of the lock or election.
   *
   * @return as it was given
   */
  public String name() {
    return handle.name;
  }

  /**
   * Tells of a loss.
   *
   * @return completes, on another thread, when this grant was lost; never, when it is released
   */
  public CompletionStage<Void> lost() {
    return lost.minimalCompletionStage();
  }

  /** Throws {@link LockLostException} once it was lost. */
  public void check() {
    LockLostException was = loss;
    if (was != null) {
      throw was;
    }
  }

  /**
   * Release it and wait until the store knows, or the right has run out.
   *
   * @throws NotHeldException if it had ended before
   */
  public void release() {
    ended = true;
    handle.forget(this);
    try {
      handle.client.ask(number -> handle.releaseStart(number, grant));
    } catch (NotHeldException e) {
      lookForLoss();
      throw e;
    }
  }

  /**
   * Release it, unless that was done.
   *
   * @throws LockLostException if it was lost
   */
  @Override
  public void close() {
    check();
    if (ended) {
      return;
    }
    try {
      release();
    } catch (NotHeldException e) {
      check();
    }
  }

  void letGo() {
    ended = true;
    handle.forget(this);
    try {
      Client.checked(
          () -> {
            handle.releaseStart(0, grant);
            return null;
          });
    } catch (NotHeldException e) {
      return; // it had ended already
    }
  }

  /** Tells of a loss whose event the client's thread has not come to yet. */
  void lookForLoss() {
    int reason = handle.lostReason(grant);
    if (reason != 0) {
      handle.tellLost(this, reason);
    }
  }

  /** Whether this is the first to say so. */
  synchronized boolean lose(LockLostException why) {
    if (loss != null) {
      return false;
    }
    loss = why;
    lost.completeAsync(() -> null);
    return true;
  }
}
