package io.metaparticle.sync;

/** Told of what becomes of a lock. */
public interface LockListener {
  /** The lock is held; called by the thread that acquired it. */
  void lockAcquired();

  /** The lock was lost: its right ran out or was taken. Called by a thread of its own. */
  void lockLost();
}
