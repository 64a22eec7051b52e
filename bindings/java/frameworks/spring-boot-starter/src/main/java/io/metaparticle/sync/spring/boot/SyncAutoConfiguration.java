package io.metaparticle.sync.spring.boot;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.shedlock.SyncLockProvider;
import io.metaparticle.sync.spring.LockedAspect;
import io.metaparticle.sync.spring.integration.SyncLockRegistry;
import net.javacrumbs.shedlock.core.LockProvider;
import org.aspectj.lang.annotation.Aspect;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.integration.support.locks.LockRegistry;

/**
 * A {@link Client} from {@code mpsync.url} and the other properties; and over it, of the modules
 * that are there, what each of them has: a {@link LockProvider} of ShedLock, a {@link LockRegistry}
 * of Spring Integration, the aspect of {@link io.metaparticle.sync.spring.Locked}. A bean of the
 * program's own takes the place of each.
 */
@AutoConfiguration
@EnableConfigurationProperties(SyncProperties.class)
public class SyncAutoConfiguration {
  /** Made by Spring. */
  public SyncAutoConfiguration() {}

  @Bean
  @ConditionalOnMissingBean(Client.class)
  ClientFactory mpsyncClient(SyncProperties properties) {
    return new ClientFactory(properties.toOptions());
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({SyncLockProvider.class, LockProvider.class})
  static class WithShedLock {
    @Bean
    @ConditionalOnMissingBean(LockProvider.class)
    SyncLockProvider mpsyncLockProvider(Client client) {
      return new SyncLockProvider(client);
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({SyncLockRegistry.class, LockRegistry.class})
  static class WithIntegration {
    @Bean
    @ConditionalOnMissingBean(LockRegistry.class)
    SyncLockRegistry mpsyncLockRegistry(Client client) {
      return new SyncLockRegistry(client);
    }
  }

  @Configuration(proxyBeanMethods = false)
  @ConditionalOnClass({LockedAspect.class, Aspect.class})
  static class WithAspects {
    @Bean
    @ConditionalOnMissingBean
    LockedAspect mpsyncLockedAspect(Client client) {
      return new LockedAspect(client);
    }
  }
}
