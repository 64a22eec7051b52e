package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.mpsync_event_type;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** Goes on until it is closed. */
public final class Observation implements AutoCloseable {
  private final Client client;
  private final long number;
  // Each change is told when the one before has been: in order, and never on the client's thread.
  private CompletableFuture<Void> tail = CompletableFuture.completedFuture(null);

  Observation(Handle handle, Consumer<Optional<Leader>> told) {
    client = handle.client;
    byte[] name = Client.utf8("name", handle.name);
    number =
        client.start(
            Client.watching(event -> tell(event, told)),
            op -> Native.mpsync_client_observe_start(client.handle, op, name));
  }

  private synchronized void tell(Event event, Consumer<Optional<Leader>> told) {
    if (event.type() != mpsync_event_type.MPSYNC_EVENT_LEADER) {
      return;
    }
    Optional<Leader> leader =
        event.holder() == null
            ? Optional.empty()
            : Optional.of(new Leader(event.holder(), event.value(), event.token()));
    tail = tail.thenRunAsync(() -> Client.guard(() -> told.accept(leader)));
  }

  @Override
  public void close() {
    Client.checked(() -> Native.mpsync_client_observe_stop(client.handle, number));
  }
}
