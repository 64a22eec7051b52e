package io.metaparticle.sync;

/** The wait ended without the lock; the message names the holder. */
public final class LockTimeoutException extends SyncException {
  private static final long serialVersionUID = 1;

  LockTimeoutException(int status, String message) {
    super(status, message);
  }
}
