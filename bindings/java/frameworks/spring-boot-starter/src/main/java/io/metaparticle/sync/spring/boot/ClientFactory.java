package io.metaparticle.sync.spring.boot;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.Options;
import org.springframework.beans.factory.config.AbstractFactoryBean;

/**
 * The context's client. It closes with the context, after all beans that use it; but when the
 * process ends, which closes the context first, nothing is given up while work may go on under it.
 */
final class ClientFactory extends AbstractFactoryBean<Client> {
  private final Options options;

  ClientFactory(Options options) {
    this.options = options;
  }

  @Override
  public Class<?> getObjectType() {
    return Client.class;
  }

  @Override
  protected Client createInstance() {
    return new Client(options);
  }

  @Override
  protected void destroyInstance(Client client) {
    if (client != null && !isEnding()) {
      client.close();
    }
  }

  /** Whether the process ends: the runtime takes no hooks any more then. */
  private static boolean isEnding() {
    try {
      Runtime.getRuntime().removeShutdownHook(new Thread());
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }
}
