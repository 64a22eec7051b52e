package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import java.time.Duration;
import java.util.Optional;

/**
 * Why a grant ends, and how long it stays held.
 *
 * @param reason a word: {@code stopped}, {@code asked} to hand over, {@code closed}; or why it is
 *     lost: {@code expired}, {@code taken}, {@code deleted}, {@code revoked}, …
 * @param left no one else gets it for so long; zero: it is lost; empty: for as long as the work
 *     takes to end
 */
public record Ending(String reason, Optional<Duration> left) {
  static Ending of(int reason, Optional<Duration> left) {
    return new Ending(Event.text(Native.mpsync_reason_text(reason)), left);
  }
}
