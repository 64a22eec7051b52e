package io.metaparticle.sync;

/** A name, an option or a URL breaks the contract; the message says which and why. */
public final class InvalidArgumentException extends SyncException {
  private static final long serialVersionUID = 1;

  InvalidArgumentException(String message) {
    super(INVALID, message);
  }
}
