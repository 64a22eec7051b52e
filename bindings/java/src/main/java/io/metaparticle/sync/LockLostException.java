package io.metaparticle.sync;

/** The right ran out or was taken while the work went on. */
public final class LockLostException extends SyncException {
  private static final long serialVersionUID = 1;

  LockLostException(String message) {
    super(LOST, message);
  }
}
