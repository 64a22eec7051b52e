package io.metaparticle.sync.spring.integration;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.Options;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Lock;
import org.springframework.integration.support.locks.LockRegistry;

/**
 * Spring Integration's locks as locks of Metaparticle Sync: one for each key, by the key's text.
 *
 * <p>A thread may lock what it has once more, and unlocks it as often. Conditions are not offered.
 * A lock that nobody has, wants or refers to is forgotten.
 *
 * <p>The loss of a lock is an uncaught {@link io.metaparticle.sync.LockLostException} on a thread
 * of its own, and {@code unlock} throws an {@code IllegalStateException}. A thread that asks once
 * more for what it has lost has nothing any more: {@code tryLock} is false, {@code lock} throws.
 */
public final class SyncLockRegistry implements LockRegistry {
  private final Client client;
  private final Options options;
  private final String prefix;
  private final Map<String, Known> known = new HashMap<>();
  private final ReferenceQueue<KeyLock> forgotten = new ReferenceQueue<>();
  private final Set<KeyLock> held = ConcurrentHashMap.newKeySet();

  private static final class Known extends WeakReference<KeyLock> {
    private final String key;

    Known(KeyLock lock, String key, ReferenceQueue<KeyLock> forgotten) {
      super(lock, forgotten);
      this.key = key;
    }
  }

  /**
   * Locks of a client.
   *
   * @param client stays the caller's
   */
  public SyncLockRegistry(Client client) {
    this(client, "", new Options());
  }

  /**
   * Locks of a client, with a place among its names.
   *
   * @param client stays the caller's
   * @param prefix put before each key, for example {@code orders/}
   * @param options how the locks are held, as {@link Client#lock} takes them
   */
  public SyncLockRegistry(Client client, String prefix, Options options) {
    this.client = client;
    this.prefix = prefix;
    this.options = options;
  }

  @Override
  public Lock obtain(Object lockKey) {
    String key = lockKey.toString();
    synchronized (known) {
      forget();
      Known there = known.get(key);
      KeyLock lock = there == null ? null : there.get();
      if (lock == null) {
        lock = new KeyLock(client.lock(prefix + key, options), key, held);
        known.put(key, new Known(lock, key, forgotten));
      }
      return lock;
    }
  }

  private void forget() {
    Reference<? extends KeyLock> gone;
    while ((gone = forgotten.poll()) != null) {
      known.remove(((Known) gone).key, gone);
    }
  }

  int size() {
    synchronized (known) {
      forget();
      return known.size();
    }
  }
}
