package io.metaparticle.sync;

/** Nothing is held that could be released. */
public final class NotHeldException extends SyncException {
  private static final long serialVersionUID = 1;

  NotHeldException(String message) {
    super(NOT_HELD, message);
  }
}
