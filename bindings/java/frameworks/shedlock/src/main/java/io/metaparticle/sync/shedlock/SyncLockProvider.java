package io.metaparticle.sync.shedlock;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.Held;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.LockTimeoutException;
import io.metaparticle.sync.Options;
import java.util.Optional;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import net.javacrumbs.shedlock.core.ExtensibleLockProvider;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.core.SimpleLock;

/**
 * ShedLock's locks as locks of Metaparticle Sync.
 *
 * <p>A lock is renewed for as long as its process lives, and so it is free soon after the process
 * has died, whatever {@code lockAtMostFor} says. Both times are kept by the process that has the
 * lock: when {@code lockAtMostFor} is over, the lock is released, even if its task goes on; when a
 * task ends before {@code lockAtLeastFor}, the lock is released then.
 */
public final class SyncLockProvider implements ExtensibleLockProvider {
  private final Client client;
  private final Options options;
  private final ScheduledThreadPoolExecutor timer =
      new ScheduledThreadPoolExecutor(1, body -> Turn.thread(body, "metaparticle-sync-shedlock"));

  /**
   * Locks of a client.
   *
   * @param client stays the caller's, and open for as long as there are tasks
   */
  public SyncLockProvider(Client client) {
    this(client, new Options());
  }

  /**
   * Locks of a client, with options.
   *
   * @param client stays the caller's, and open for as long as there are tasks
   * @param options how the locks are held, as {@link Client#lock} takes them
   */
  public SyncLockProvider(Client client, Options options) {
    this.client = client;
    this.options = options;
    timer.setRemoveOnCancelPolicy(true);
    timer.setKeepAliveTime(1, TimeUnit.SECONDS);
    timer.allowCoreThreadTimeOut(true); // so that nothing keeps a class loader
  }

  /**
   * Tries once. An interrupted thread gets no lock, and stays interrupted.
   *
   * @throws io.metaparticle.sync.StoreException if the store does not answer
   */
  @Override
  public Optional<SimpleLock> lock(LockConfiguration configuration) {
    Lock lock = client.lock(configuration.getName(), options);
    try {
      Held held = lock.acquire(0, TimeUnit.SECONDS);
      Turn turn = new Turn(lock, held, timer);
      return Optional.of(new TurnLock(turn, configuration));
    } catch (LockTimeoutException e) {
      lock.close();
      return Optional.empty();
    } catch (InterruptedException e) {
      lock.close();
      Thread.currentThread().interrupt();
      return Optional.empty();
    } catch (RuntimeException e) {
      lock.close();
      throw e;
    }
  }
}
