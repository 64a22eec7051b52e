package io.metaparticle.sync;

/**
 * Who leads, as others see it.
 *
 * @param holder the leader's identity
 * @param value what the leader tells its observers, or null
 * @param token the fencing token of its term; unsigned
 */
public record Leader(String holder, String value, long token) {}
