package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.mpsync_event;
import io.metaparticle.sync.internal.mpsync_event_type;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;

/** An event of the C library, copied. */
record Event(
    int type,
    int status,
    int reason,
    long op,
    long grant,
    long token,
    String holder,
    String value,
    String message,
    long position,
    long unchangedMs,
    long leftMs) {

  static Event take(mpsync_event event) {
    Event copy =
        new Event(
            event.getType(),
            event.getStatus(),
            event.getReason(),
            event.getOp_id(),
            event.getGrant(),
            event.getToken(),
            text(event.getHolder()),
            text(event.getValue()),
            text(event.getMessage()),
            event.getPosition(),
            event.getUnchanged_ms(),
            event.getLeft_ms());
    Native.mpsync_event_free(event);
    return copy;
  }

  /** What ends a request that its client did not live to end. */
  static Event closed() {
    int failed = mpsync_event_type.MPSYNC_EVENT_FAILED;
    return new Event(failed, SyncException.CLOSED, 0, 0, 0, 0, null, null, null, 0, 0, 0);
  }

  static String text(byte[] bytes) {
    return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
  }

  /** Whether more is to come of its request. */
  boolean goesOn() {
    return switch (type) {
      case mpsync_event_type.MPSYNC_EVENT_WAITING,
              mpsync_event_type.MPSYNC_EVENT_LEADER,
              mpsync_event_type.MPSYNC_EVENT_LOG,
              mpsync_event_type.MPSYNC_EVENT_TERM,
              mpsync_event_type.MPSYNC_EVENT_ENDING ->
          true;
      default -> false;
    };
  }

  Waiting waiting() {
    return new Waiting(holder, (int) position, Duration.ofMillis(unchangedMs));
  }

  Ending ending() {
    return Ending.of(
        reason, leftMs < 0 ? Optional.empty() : Optional.of(Duration.ofMillis(leftMs)));
  }

  /** What this event says, as an exception; null for success. */
  RuntimeException failure() {
    if (status == 0) {
      return null;
    }
    String said = message != null ? message : text(Native.mpsync_status_text(status));
    if (message == null && holder != null) {
      said += ": " + holder + " has it";
    }
    return SyncException.of(status, said);
  }
}
