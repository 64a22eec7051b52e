package io.metaparticle.sync.spring.integration;

import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The lock of one key. The process's threads take their turns at a local lock, and whoever has that
 * one asks for the shared one.
 */
final class KeyLock implements Lock {
  private final ReentrantLock local = new ReentrantLock();
  private final io.metaparticle.sync.Lock shared;
  private final String key;
  private final Set<KeyLock> held; // keeps what is held reachable for the registry

  KeyLock(io.metaparticle.sync.Lock shared, String key, Set<KeyLock> held) {
    this.shared = shared;
    this.key = key;
    this.held = held;
  }

  private interface Asking<E extends Exception> {
    boolean ask() throws E;
  }

  /**
   * Of a thread that has the local lock, and gives it back where it does not get the shared one.
   */
  private <E extends Exception> boolean enter(Asking<E> asking) throws E {
    boolean entered = false;
    try {
      entered = local.getHoldCount() > 1 ? isStillHeld() : asking.ask();
      return entered;
    } finally {
      if (entered) {
        held.add(this);
      } else {
        leave();
      }
    }
  }

  /** What was lost is not held any more, however often it had been locked. */
  private boolean isStillHeld() {
    boolean still = shared.isHeld();
    while (!still && local.getHoldCount() > 1) {
      local.unlock();
    }
    return still;
  }

  private void leave() {
    if (local.getHoldCount() == 1) {
      held.remove(this);
    }
    local.unlock();
  }

  private void refuseLost(boolean entered) {
    if (!entered) {
      throw new IllegalStateException("\"" + key + "\" was lost by this thread");
    }
  }

  @Override
  public void lock() {
    local.lock();
    refuseLost(
        enter(
            () -> {
              shared.lock();
              return true;
            }));
  }

  @Override
  public void lockInterruptibly() throws InterruptedException {
    local.lockInterruptibly();
    refuseLost(
        this.<InterruptedException>enter(
            () -> {
              shared.lockInterruptibly();
              return true;
            }));
  }

  @Override
  public boolean tryLock() {
    return local.tryLock() && enter(shared::tryLock);
  }

  @Override
  public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
    long begun = System.nanoTime();
    if (!local.tryLock(time, unit)) {
      return false;
    }
    long left = unit.toNanos(time) - (System.nanoTime() - begun);
    return this.<InterruptedException>enter(
        () -> shared.tryLock(Math.max(left, 0), TimeUnit.NANOSECONDS));
  }

  @Override
  public void unlock() {
    if (!local.isHeldByCurrentThread()) {
      throw new IllegalMonitorStateException("\"" + key + "\" is not held by this thread");
    }
    try {
      if (local.getHoldCount() == 1) {
        shared.unlock();
      }
    } finally {
      leave();
    }
  }

  @Override
  public Condition newCondition() {
    return shared.newCondition();
  }

  @Override
  public String toString() {
    return "KeyLock of \"" + key + "\"";
  }
}
