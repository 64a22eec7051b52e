package io.metaparticle.sync.spring;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.Held;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.Options;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionStage;
import org.aspectj.lang.ProceedingJoinPoint;
import org.aspectj.lang.annotation.Around;
import org.aspectj.lang.annotation.Aspect;
import org.aspectj.lang.reflect.MethodSignature;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;

/**
 * Runs each {@link Locked} method under its lock.
 *
 * <p>A thread that has the lock enters other methods of the same name at once. The lock is around a
 * transaction of the same method, so that others see what was committed. What a {@link
 * CompletionStage} stands for is under the lock until the stage completes.
 *
 * <p>A call ends with a {@link io.metaparticle.sync.LockTimeoutException} if another holder has the
 * lock for longer than the call may wait, with a {@link io.metaparticle.sync.LockLostException} if
 * the lock was lost under the method, and with a {@link CancellationException} if the waiting
 * thread was interrupted, which it stays.
 */
@Aspect
@Order(LockedAspect.ORDER)
public class LockedAspect {
  /** Around those that have no order, as transactions. */
  static final int ORDER = Ordered.LOWEST_PRECEDENCE - 100;

  private final Client client;
  private final LockNames names = new LockNames();
  private final ThreadLocal<Map<String, Held>> mine = ThreadLocal.withInitial(HashMap::new);

  /**
   * An aspect whose locks are those of a client.
   *
   * @param client stays the caller's
   */
  public LockedAspect(Client client) {
    this.client = client;
  }

  /**
   * The advice.
   *
   * @param call of the method
   * @param locked the method's annotation
   * @return what the method returns
   * @throws Throwable what the method throws, or what the lock has to say
   */
  @Around("@annotation(locked)")
  public Object around(ProceedingJoinPoint call, Locked locked) throws Throwable {
    LockNames.refuseReactive(((MethodSignature) call.getSignature()).getMethod());
    String name = names.of(locked, call);
    Held held = mine.get().get(name);
    if (held != null) {
      held.check();
      return call.proceed();
    }
    Lock lock = client.lock(name, options(locked));
    boolean goesOn = false;
    try {
      Object result = underLock(call, acquired(lock));
      goesOn = result instanceof CompletionStage<?>;
      return goesOn ? ((CompletionStage<?>) result).whenComplete((v, e) -> lock.close()) : result;
    } finally {
      if (!goesOn) {
        lock.close();
      }
    }
  }

  private static Options options(Locked locked) {
    Options options = new Options();
    if (!locked.waitFor().isEmpty()) {
      options.set("wait", locked.waitFor());
    }
    if (!locked.ttl().isEmpty()) {
      options.set("ttl", locked.ttl());
    }
    return options;
  }

  private static Held acquired(Lock lock) {
    try {
      return lock.acquire();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw (CancellationException)
          new CancellationException("interrupted while it waited for a lock").initCause(e);
    }
  }

  /** A stage goes on to have the lock, and completes when it is released; all else has had it. */
  private Object underLock(ProceedingJoinPoint call, Held held) throws Throwable {
    Object result = null;
    mine.get().put(held.name(), held);
    try {
      result = call.proceed();
    } catch (Throwable e) {
      releaseAfter(e, held);
      throw e;
    } finally {
      mine.get().remove(held.name());
    }
    if (result instanceof CompletionStage<?> stage) {
      return stage.whenComplete((value, failure) -> releaseAfter(failure, held));
    }
    held.close();
    return result;
  }

  /** The method's own failure is what is told, and the lock's beside it. */
  private static void releaseAfter(Throwable failure, Held held) {
    try {
      held.close();
    } catch (RuntimeException e) {
      if (failure == null) {
        throw e;
      }
      failure.addSuppressed(e);
    }
  }
}
