package io.metaparticle.sync;

/** What this package throws, apart from what Java has exceptions of its own for. */
public class SyncException extends IllegalStateException {
  private static final long serialVersionUID = 1;

  /** The C library's number for what happened. */
  private final int status;

  SyncException(int status, String message) {
    super(message);
    this.status = status;
  }

  /**
   * The C library's number for what happened.
   *
   * @return for example -4 for a store that does not answer
   */
  public int status() {
    return status;
  }

  static final int INVALID = -1;
  static final int HELD = -2;
  static final int LOST = -3;
  static final int UNREACHABLE = -4;
  static final int TIMEOUT = -5;
  static final int CANCELLED = -6;
  static final int NOT_HELD = -7;
  static final int ALREADY_HELD = -8;
  static final int CLOSED = -12;

  /** A SyncException, or an IllegalArgumentException for what breaks the contract. */
  static RuntimeException of(int status, String message) {
    switch (status) {
      case INVALID:
        return new IllegalArgumentException(message);
      case HELD:
      case TIMEOUT:
        return new LockTimeoutException(status, message);
      case LOST:
        return new LockLostException(message);
      case NOT_HELD:
        return new NotHeldException(message);
      case ALREADY_HELD:
        return new AlreadyHeldException(message);
      case UNREACHABLE:
      case -9:
      case -10:
      case -15:
        return new StoreException(status, message);
      default:
        return new SyncException(status, message);
    }
  }

  /** Of what has ended, or is closed, nothing is left to end. */
  static void ifOpen(Runnable call) {
    try {
      call.run();
    } catch (SyncException e) {
      if (e.status() != CLOSED && e.status() != NOT_HELD) {
        throw e;
      }
    }
  }
}
