package io.metaparticle.sync;

import io.metaparticle.sync.internal.NativeConstants;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.concurrent.ExecutionException;
import java.util.function.LongConsumer;

/**
 * A thread that waits for its request. A thread of the system waits in the C library itself, which
 * saves the hop over the client's thread; a virtual one does not, for it would keep its carrier.
 */
final class Waiting {
  private final Client client;
  private final Request request;
  private final long awaited; // the request's number, or 0: the client's thread tells it

  /** Makes the call. */
  Waiting(Client client, Request request, LongConsumer call) {
    this.client = client;
    this.request = request;
    if (isVirtual()) {
      awaited = 0;
      client.start(request, call);
    } else {
      awaited = client.number() | NativeConstants.MPSYNC_OP_AWAITED;
      Client.called(call, awaited);
    }
  }

  private static boolean isVirtual() {
    // As Thread says of virtual threads, where it knows them; Java 17 does not.
    ThreadGroup group = Thread.currentThread().getThreadGroup();
    return group != null && group.getName().equals("VirtualThreads");
  }

  /** Wait for the end, whatever happens. */
  void awaitEnd() {
    if (awaited == 0) {
      request.ended.join();
      return;
    }
    while (!request.ended.isDone()) {
      client.awaitEvent(awaited, request);
    }
  }

  /** As awaitEnd; an interrupt calls {@code withdraw}, which ends the request. */
  void awaitEndInterruptibly(Runnable withdraw) throws InterruptedException {
    if (awaited != 0) {
      awaitInterruptiblyInC(withdraw);
      return;
    }
    try {
      request.ended.get();
    } catch (ExecutionException e) {
      throw new AssertionError(e); // it never completes so
    } catch (InterruptedException e) {
      withdraw.run();
      request.ended.join();
      throw e;
    }
  }

  private void awaitInterruptiblyInC(Runnable withdraw) throws InterruptedException {
    Interruptible interruptible = new Interruptible(withdraw);
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
      try {
        onInterrupt.run();
      } catch (SyncException e) {
        return; // the client is closing, which ends the request as well
      }
    }
  }
}
