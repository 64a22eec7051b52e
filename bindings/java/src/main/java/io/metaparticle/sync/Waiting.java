package io.metaparticle.sync;

import java.time.Duration;

/**
 * What a request waits for.
 *
 * @param holder the identity of who has the lock, or null
 * @param position 1 is next; 0 is not known
 * @param unchanged for how long the holder's record has not changed
 */
public record Waiting(String holder, int position, Duration unchanged) {}
