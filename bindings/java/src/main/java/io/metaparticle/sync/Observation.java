package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.mpsync_event_type;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** Goes on until it is closed, or its client. */
public final class Observation implements AutoCloseable {
  private final Handle handle; // its client stays for it
  private final Watching watching;
  private final long number;

  Observation(Handle handle, Consumer<Optional<Leader>> told) {
    this.handle = handle;
    byte[] name = Calls.utf8("name", handle.name);
    watching = new Watching(this, told);
    number =
        handle.connection.start(
            watching,
            op ->
                handle.connection.with(
                    client -> Native.mpsync_client_observe_start(client, op, name)));
  }

  /** Done when nothing is told any more: it was closed, or its client. */
  CompletableFuture<?> over() {
    return watching.ended;
  }

  private static final class Watching extends Request {
    private final Observation observation; // reachable for as long as there is something to tell
    private final Consumer<Optional<Leader>> told;
    private final Callbacks.InOrder changes = new Callbacks.InOrder();

    Watching(Observation observation, Consumer<Optional<Leader>> told) {
      this.observation = observation;
      this.told = told;
    }

    @Override
    void progress(Event event) {
      if (event.type() == mpsync_event_type.MPSYNC_EVENT_LEADER) {
        changes.tell(() -> told.accept(Leader.of(event)));
      } else {
        observation.handle.tell(event);
      }
    }
  }

  @Override
  public void close() {
    SyncException.ifOpen(
        () -> handle.connection.with(client -> Native.mpsync_client_observe_stop(client, number)));
  }
}
