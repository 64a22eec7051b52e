package io.metaparticle.sync;

import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * The handles of one Lock, one for each thread or future that has or wants it at the same time, so
 * that they wait for one another as those of two processes do; and which thread has which grant.
 */
final class Owners {
  private final Supplier<Handle> maker;
  private final List<Handle> handles = new CopyOnWriteArrayList<>();
  private final Map<Thread, Held> grants = new WeakHashMap<>();
  private boolean closed; // guarded by this

  Owners(Supplier<Handle> maker) {
    this.maker = maker;
    handles.add(maker.get());
  }

  /** A handle for this thread's request, which ends with its request or grant. */
  synchronized Handle claim() {
    Held held = grants.get(Thread.currentThread());
    if (held != null && !held.isOver()) {
      throw new AlreadyHeldException("this thread holds \"" + held.name() + "\" already");
    }
    return claimForFuture();
  }

  synchronized Handle claimForFuture() {
    if (closed) {
      throw handles.get(0).closed();
    }
    for (Handle handle : handles) {
      if (handle.claim()) {
        return handle;
      }
    }
    Handle more = maker.get();
    more.claim();
    handles.add(more);
    return more;
  }

  synchronized Held own(Held held) {
    grants.put(Thread.currentThread(), held);
    return held;
  }

  /** What this thread releases: its own grant, also if it was lost, or else another's. */
  synchronized Held take() {
    Held own = grants.remove(Thread.currentThread());
    if (own != null && (own.isLost() || !own.isOver())) {
      return own;
    }
    for (Handle handle : handles) {
      Held held = handle.takePresent();
      if (held != null) {
        return held;
      }
    }
    throw new NotHeldException("\"" + handles.get(0).name + "\" is not held");
  }

  /** The present grant, or null. */
  Held present() {
    for (Handle handle : handles) {
      if (handle.isHeld()) {
        return handle.present();
      }
    }
    return null;
  }

  void close() {
    synchronized (this) {
      closed = true; // none is made any more
    }
    forEach(Handle::end);
  }

  void forEach(Consumer<Handle> action) {
    handles.forEach(action);
  }
}
