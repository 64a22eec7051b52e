package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.mpsync_event;
import java.nio.charset.StandardCharsets;

/** An event of the C library, copied. */
record Event(
    int type,
    int status,
    int reason,
    long op,
    long lock,
    long grant,
    long token,
    String holder,
    String value,
    String message) {

  static Event take(mpsync_event event) {
    Event copy =
        new Event(
            event.getType(),
            event.getStatus(),
            event.getReason(),
            event.getOp_id(),
            event.getLock(),
            event.getGrant(),
            event.getToken(),
            text(event.getHolder()),
            text(event.getValue()),
            text(event.getMessage()));
    Native.mpsync_event_free(event);
    return copy;
  }

  static String text(byte[] bytes) {
    return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
  }

  /** What this event says, as an exception; null for success. */
  SyncException failure() {
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
