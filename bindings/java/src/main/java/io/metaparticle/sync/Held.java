package io.metaparticle.sync;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * One grant of a lock, or one term of a leader. It stays ended when it has ended. For
 * try-with-resources; safe for use by many threads. It lasts, whether or not the program still
 * refers to it, until it is released or lost, or its client closed.
 */
public final class Held implements AutoCloseable {
  final long grant;
  volatile boolean ofFirstApi; // held by a call that returns no Held to be told by
  private final Handle handle;
  private final long token;
  private final boolean ofRun;
  private final CompletableFuture<Void> lost = new CompletableFuture<>();
  private final CompletableFuture<Ending> ending = new CompletableFuture<>();
  private volatile LockLostException loss;
  private final AtomicBoolean released = new AtomicBoolean();
  private final AtomicBoolean forgotten = new AtomicBoolean();

  Held(Handle handle, long grant, long token, boolean ofRun) {
    this.handle = handle;
    this.grant = grant;
    this.token = token;
    this.ofRun = ofRun;
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
   * @return completes, on a thread of the package, when this grant was lost; never, when it is
   *     released
   */
  public CompletionStage<Void> lost() {
    return lost.minimalCompletionStage();
  }

  /**
   * Tells that the work of {@link Election#lead} shall end, or that the grant was lost.
   *
   * @return completes, on a thread of the package, with why and how long is left
   */
  public CompletionStage<Ending> ending() {
    return ending.minimalCompletionStage();
  }

  /** Throws {@link LockLostException} once it was lost. */
  public void check() {
    LockLostException was = loss;
    if (was != null) {
      throw was;
    }
  }

  /**
   * Release it and wait until the store knows, or the right has run out. The term of a run ends
   * with its work: this asks for it, and does not wait.
   *
   * @throws NotHeldException if it had ended before
   */
  public void release() {
    released.set(true);
    if (ofRun) {
      handle.releaseStart(handle.connection.number(), grant);
      return;
    }
    handle.hide(this);
    try {
      handle.connection.ask(number -> handle.releaseStart(number, grant));
    } catch (NotHeldException e) {
      lookForLoss();
      throw e;
    } finally {
      forget();
    }
  }

  /**
   * Release it, unless that was done.
   *
   * @throws LockLostException if it was lost
   * @throws NotHeldException if its client was closed under it
   */
  @Override
  public void close() {
    check();
    if (released.getAndSet(true)) {
      return;
    }
    try {
      release();
    } catch (NotHeldException e) {
      check();
      throw e;
    }
  }

  /** Whether it has ended, as far as this process knows. */
  boolean isOver() {
    return released.get() || !isHeld();
  }

  /** Release it, unless it has ended, or somebody does so. */
  void end() {
    if (!released.getAndSet(true)) {
      SyncException.ifOpen(this::release);
    }
  }

  boolean isLost() {
    return loss != null;
  }

  void forget() {
    if (forgotten.compareAndSet(false, true)) {
      handle.forget(this);
    }
  }

  /** Tells of a loss whose event nobody has come to yet, or never will. */
  void lookForLoss() {
    int reason = handle.lostReason(grant);
    if (reason != 0) {
      lose(reason);
    }
  }

  void end(Ending why) {
    Callbacks.tell(() -> ending.complete(why));
  }

  void lose(int reason) {
    Ending why = Ending.of(reason, Optional.of(Duration.ZERO));
    LockLostException told =
        new LockLostException("\"" + handle.name + "\" was lost (" + why.reason() + ")");
    synchronized (this) {
      if (loss != null) {
        return;
      }
      loss = told;
    }
    forget();
    Callbacks.tell(() -> lost.complete(null));
    end(why);
    handle.lost(this, told);
  }
}
