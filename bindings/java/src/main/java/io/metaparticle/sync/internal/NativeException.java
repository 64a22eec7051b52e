package io.metaparticle.sync.internal;

import java.nio.charset.StandardCharsets;

/** A failed call of the C library, thrown by the generated code. */
public final class NativeException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The C library's number. */
  public final int status;

  /** Called from C. */
  public NativeException(int status, byte[] message) {
    super(new String(message, StandardCharsets.UTF_8));
    this.status = status;
  }
}
