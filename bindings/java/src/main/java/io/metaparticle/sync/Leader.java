package io.metaparticle.sync;

import java.util.Optional;

/**
 * Who leads, as others see it.
 *
 * @param holder the leader's identity
 * @param value what the leader tells its observers, or null
 * @param token the fencing token of its term; unsigned
 */
public record Leader(String holder, String value, long token) {
  static Optional<Leader> of(Event event) {
    return event.holder() == null
        ? Optional.empty()
        : Optional.of(new Leader(event.holder(), event.value(), event.token()));
  }
}
