package io.metaparticle.sync;

import io.metaparticle.sync.internal.NativeException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import java.util.function.Supplier;

/** What crosses to the C library and back: calls and their errors, text, durations. */
final class Calls {
  static final long WAIT_AS_OPTION = -2;
  static final long WAIT_FOR_EVER = -1;

  private static final long LONGEST_MS = 1L << 50;

  private Calls() {}

  /** Make a call of the C library; its error becomes one of ours. */
  static <T> T checked(Supplier<T> call) {
    try {
      return call.get();
    } catch (NativeException e) {
      throw SyncException.of(e.status, e.getMessage());
    }
  }

  static void made(LongConsumer call, long number) {
    checked(
        () -> {
          call.accept(number);
          return null;
        });
  }

  /** Text as C takes it, or an exception that says what is wrong with it. */
  static byte[] utf8(String what, String text) {
    if (text == null) {
      throw new IllegalArgumentException(what + ": null is given");
    }
    if (text.indexOf('\0') >= 0) {
      throw new IllegalArgumentException(what + ": \"" + text + "\" has a NUL character in it");
    }
    try {
      ByteBuffer bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
      byte[] copy = new byte[bytes.remaining()];
      bytes.get(copy);
      return copy;
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(what + ": \"" + text + "\" is not valid Unicode");
    }
  }

  /**
   * How long to wait: what is too long for C is for ever, and a part of a millisecond is a whole
   * one.
   */
  static long waitMs(long time, TimeUnit unit) {
    long whole = unit.toMillis(Math.max(time, 0));
    return whole > LONGEST_MS
        ? WAIT_FOR_EVER
        : unit.convert(whole, TimeUnit.MILLISECONDS) < time ? whole + 1 : whole;
  }

  /** Milliseconds, rounded up; -1 for what is too long for C. */
  static long waitMs(Duration time) {
    if (time.getSeconds() > LONGEST_MS / 1000) {
      return WAIT_FOR_EVER;
    }
    long whole = time.toMillis();
    return Duration.ofMillis(whole).compareTo(time) < 0 ? whole + 1 : whole;
  }
}
