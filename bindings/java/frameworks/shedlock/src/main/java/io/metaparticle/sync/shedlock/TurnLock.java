package io.metaparticle.sync.shedlock;

import java.util.Optional;
import net.javacrumbs.shedlock.core.AbstractSimpleLock;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.core.SimpleLock;

/** A turn as ShedLock sees it, until it is unlocked or extended, which makes another one of it. */
final class TurnLock extends AbstractSimpleLock {
  private final Turn turn;
  private final long begun = System.nanoTime();

  TurnLock(Turn turn, LockConfiguration configuration) {
    super(configuration);
    this.turn = turn;
    turn.endIn(configuration.getLockAtMostFor().toNanos(), true);
  }

  @Override
  protected void doUnlock() {
    long left = lockConfiguration.getLockAtLeastFor().toNanos() - (System.nanoTime() - begun);
    if (left > 0) {
      turn.endIn(left, false);
    } else {
      turn.end();
    }
  }

  @Override
  protected Optional<SimpleLock> doExtend(LockConfiguration extended) {
    return turn.isHeld() ? Optional.of(new TurnLock(turn, extended)) : Optional.empty();
  }
}
