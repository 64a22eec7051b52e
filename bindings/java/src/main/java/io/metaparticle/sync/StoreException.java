package io.metaparticle.sync;

/** The store did not answer, refused, or holds what this library does not write. */
public final class StoreException extends SyncException {
  private static final long serialVersionUID = 1;

  StoreException(int status, String message) {
    super(status, message);
  }
}
