package io.metaparticle.sync;

import io.metaparticle.sync.internal.NativeConstants;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.concurrent.ExecutionException;
import java.util.function.LongConsumer;

/**
 * A thread that waits for its request. A thread of the system waits in the C library itself, which
 * saves the hop over the connection's thread; a virtual one does not, for it would keep its
 * carrier.
 */
final class Wait {
  private final Connection connection;
  private final Request request;
  private final long number;
  private final boolean inC;

  /** Makes the call. */
  Wait(Connection connection, Request request, LongConsumer call) {
    this.connection = connection;
    this.request = request;
    inC = !isVirtual();
    if (inC) {
      number = connection.number() | NativeConstants.MPSYNC_OP_AWAITED;
      Calls.made(call, number);
    } else {
      number = connection.start(request, call);
    }
  }

  private static boolean isVirtual() {
    // As Thread says of virtual threads, where it knows them; Java 17 does not.
    ThreadGroup group = Thread.currentThread().getThreadGroup();
    return group != null && group.getName().equals("VirtualThreads");
  }

  /** Wait for the end, whatever happens. */
  void awaitEnd() {
    if (!inC) {
      request.ended.join();
      return;
    }
    while (!request.ended.isDone()) {
      connection.awaitEvent(number, request);
    }
  }

  /** As awaitEnd; an interrupt calls {@code withdraw}, which ends the request. */
  void awaitEndInterruptibly(LongConsumer withdraw) throws InterruptedException {
    if (inC) {
      awaitInterruptiblyInC(withdraw);
      return;
    }
    try {
      request.ended.get();
    } catch (ExecutionException e) {
      throw new AssertionError(e); // it never completes so
    } catch (InterruptedException e) {
      withdraw.accept(number);
      request.ended.join();
      throw e;
    }
  }

  private void awaitInterruptiblyInC(LongConsumer withdraw) throws InterruptedException {
    Interruptible interruptible = new Interruptible(() -> withdraw.accept(number));
    try {
      interruptible.run(this::awaitEnd);
    } catch (ClosedByInterruptException e) {
      Thread.interrupted();
      throw new InterruptedException();
    }
  }

  /** What NIO's own blocking calls are made of: an interrupt reaches a thread that is in C. */
  private static final class Interruptible extends AbstractInterruptibleChannel {
    private final Runnable onInterrupt;

    Interruptible(Runnable onInterrupt) {
      this.onInterrupt = onInterrupt;
    }

    void run(Runnable blocking) throws ClosedByInterruptException {
      try {
        begin();
        blocking.run();
      } finally {
        finish();
      }
    }

    private void finish() throws ClosedByInterruptException {
      try {
        end(true);
      } catch (ClosedByInterruptException e) {
        throw e;
      } catch (java.nio.channels.AsynchronousCloseException e) {
        throw new AssertionError(e); // nobody else closes it
      }
    }

    @Override
    protected void implCloseChannel() {
      onInterrupt.run();
    }
  }
}
