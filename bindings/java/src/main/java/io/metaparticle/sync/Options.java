package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_options;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** Where the locks live, and how they are held. Not safe for concurrent changes. */
public final class Options {
  String url;
  final Map<String, String> settings = new LinkedHashMap<>();

  /** The defaults: the environment's {@code MPSYNC_…}, else the elector next to this program. */
  public Options() {}

  /**
   * Where the locks live.
   *
   * @param url {@code file:locks.db}, {@code http://…}, {@code kubernetes:}, …
   * @return these options
   */
  public Options url(String url) {
    this.url = url;
    return this;
  }

  /**
   * How long a holder that is silent keeps others out.
   *
   * @param ttl 50 ms to 24 h; 15 s by default
   * @return these options
   */
  public Options ttl(Duration ttl) {
    return set("ttl", Calls.waitMs(ttl) + "ms");
  }

  /**
   * How long to wait at most.
   *
   * @param wait zero tries once; for ever by default, and from some centuries on
   * @return these options
   */
  public Options waitFor(Duration wait) {
    long ms = Calls.waitMs(wait);
    if (ms != Calls.WAIT_FOR_EVER) {
      return set("wait", ms + "ms");
    }
    settings.remove("wait");
    return this;
  }

  /**
   * How long the work of a term may take to end while its right is renewed.
   *
   * @param limit then the right is given back under it; by default there is no limit
   * @return these options
   */
  public Options drain(Duration limit) {
    return set("drain", Calls.waitMs(limit) + "ms");
  }

  /**
   * How others see this holder.
   *
   * @param identity at most 256 bytes of UTF-8; host and process by default
   * @return these options
   */
  public Options identity(String identity) {
    return set("identity", identity);
  }

  /**
   * Any option by name, as URLs and the environment have it.
   *
   * @param name for example {@code request_timeout}
   * @param value as people write it, for example {@code 2s}
   * @return these options
   */
  public Options set(String name, String value) {
    settings.put(name, value);
    return this;
  }

  Options copy() {
    Options copy = new Options().url(url);
    copy.settings.putAll(settings);
    return copy;
  }

  /** Make a call with the options of C. */
  <T> T with(Function<SWIGTYPE_p_mpsync_options, T> call) {
    SWIGTYPE_p_mpsync_options made = Calls.checked(Native::mpsync_options_new);
    try {
      for (Map.Entry<String, String> setting : settings.entrySet()) {
        byte[] name = Calls.utf8("option", setting.getKey());
        byte[] value = Calls.utf8(setting.getKey(), setting.getValue());
        Calls.checked(() -> Native.mpsync_options_set(made, name, value));
      }
      return Calls.checked(() -> call.apply(made));
    } finally {
      Native.mpsync_options_free(made);
    }
  }
}
