package io.metaparticle.sync;

/** This object holds the lock, or asks for it, already. */
public final class AlreadyHeldException extends SyncException {
  private static final long serialVersionUID = 1;

  AlreadyHeldException(String message) {
    super(ALREADY_HELD, message);
  }
}
