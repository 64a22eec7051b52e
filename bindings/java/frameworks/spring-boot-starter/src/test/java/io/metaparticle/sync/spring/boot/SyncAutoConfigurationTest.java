package io.metaparticle.sync.spring.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.Held;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.Options;
import io.metaparticle.sync.shedlock.SyncLockProvider;
import io.metaparticle.sync.spring.Locked;
import io.metaparticle.sync.spring.LockedAspect;
import io.metaparticle.sync.spring.integration.SyncLockRegistry;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import net.javacrumbs.shedlock.core.LockProvider;
import net.javacrumbs.shedlock.spring.annotation.EnableSchedulerLock;
import net.javacrumbs.shedlock.spring.annotation.SchedulerLock;
import org.aspectj.lang.annotation.Aspect;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.integration.support.locks.LockRegistry;

/** Programs of Spring Boot that say nothing but properties. */
@Timeout(180)
class SyncAutoConfigurationTest {
  @TempDir Path folder;

  /** A program with work under locks, by each of the ways. */
  @Configuration
  @EnableAutoConfiguration
  @EnableSchedulerLock(defaultLockAtMostFor = "1h")
  static class Program {
    @Bean
    Work work() {
      return new Work();
    }
  }

  static class Work {
    @Locked("locked")
    public boolean locked(Supplier<Boolean> work) {
      return work.get();
    }

    @SchedulerLock(name = "scheduled")
    public void scheduled(Runnable work) {
      work.run();
    }
  }

  /** One that brings what the starter would make. */
  @Configuration
  static class OwnBeans {
    @Bean
    Client own() {
      return new Client(new Options().url("memory:own"));
    }

    @Bean
    LockProvider ownProvider() {
      return configuration -> Optional.empty();
    }
  }

  private String url() {
    return "file:" + folder.resolve("locks.db");
  }

  private static ConfigurableApplicationContext start(Class<?> program, String... properties) {
    return new SpringApplicationBuilder(program)
        .web(WebApplicationType.NONE)
        .properties("spring.main.banner-mode=off", "logging.level.root=warn")
        .properties(properties)
        .run();
  }

  /** A context with nothing in it but the starter's beans. */
  private ApplicationContextRunner alone() {
    return new ApplicationContextRunner()
        .withConfiguration(AutoConfigurations.of(SyncAutoConfiguration.class))
        .withPropertyValues("mpsync.url=" + url());
  }

  private boolean isFree(String name) {
    try (Lock lock = new Lock(name, url())) {
      return lock.tryLock();
    }
  }

  /** Each way to a lock works on the store that the property names. */
  @Test
  void theWholeProgram() {
    try (ConfigurableApplicationContext context = start(Program.class, "mpsync.url=" + url())) {
      Work work = context.getBean(Work.class);
      assertFalse(work.locked(() -> isFree("locked")));
      boolean[] free = {true};
      work.scheduled(() -> free[0] = isFree("scheduled"));
      assertFalse(free[0]);
      java.util.concurrent.locks.Lock lock = context.getBean(LockRegistry.class).obtain("key");
      lock.lock();
      assertFalse(isFree("key"));
      lock.unlock();
      assertTrue(context.getBean(Client.class).lock("mine", new Options()).tryLock());
      assertFalse(isFree("mine"));
    }
  }

  /** The properties reach the library: what it does not take, it says. */
  @Test
  void properties() {
    String[] wrong = {"ttl=soon", "wait=soon", "drain=soon", "options.nonsense=1"};
    for (String property : wrong) {
      String name = property.replaceAll("=.*|options\\.", "");
      alone()
          .withPropertyValues("mpsync." + property)
          .run(context -> assertThat(context).getFailure().rootCause().hasMessageContaining(name));
    }
  }

  /** The identity is what others see. */
  @Test
  void identity() {
    alone().withPropertyValues("mpsync.identity=this program").run(this::isSeenByOthers);
  }

  private void isSeenByOthers(ApplicationContext context) throws InterruptedException {
    context.getBean(Client.class).lock("mine", new Options()).acquire();
    BlockingQueue<String> holders = new LinkedBlockingQueue<>();
    try (Lock waiting = new Lock("mine", url())) {
      waiting.onWaiting(seen -> holders.add(seen.holder()));
      waiting.acquireAsync();
      assertEquals("this program", holders.poll(60, TimeUnit.SECONDS));
    }
  }

  /** Beans of the program's own take the place of the starter's. */
  @Test
  void ownBeans() {
    alone()
        .withUserConfiguration(OwnBeans.class)
        .run(
            context ->
                assertThat(context)
                    .hasSingleBean(Client.class)
                    .hasSingleBean(LockProvider.class)
                    .doesNotHaveBean(SyncLockProvider.class)
                    .hasSingleBean(SyncLockRegistry.class)
                    .hasSingleBean(LockedAspect.class));
  }

  /** Without the other modules and their frameworks the starter gives a client. */
  @Test
  void clientAlone() {
    alone()
        .withClassLoader(
            new FilteredClassLoader(LockProvider.class, LockRegistry.class, Aspect.class))
        .run(
            context ->
                assertThat(context)
                    .hasSingleBean(Client.class)
                    .doesNotHaveBean("mpsyncLockProvider")
                    .doesNotHaveBean("mpsyncLockRegistry")
                    .doesNotHaveBean("mpsyncLockedAspect"));
  }

  /** A context that closes while the program goes on releases what it has. */
  @Test
  void closing() throws Exception {
    Held[] held = new Held[1];
    alone()
        .run(
            context ->
                held[0] = context.getBean(Client.class).lock("mine", new Options()).acquire());
    assertFalse(held[0].isHeld());
    assertTrue(isFree("mine"));
  }

  /** A program that ends while it has a lock, and says what it has when its context has closed. */
  static final class Ending {
    private Ending() {}

    public static void main(String[] arguments) throws Exception {
      SpringApplication program = new SpringApplication(Program.class);
      program.setRegisterShutdownHook(false);
      program.setWebApplicationType(WebApplicationType.NONE);
      ConfigurableApplicationContext context = program.run(arguments);
      Held held = context.getBean(Client.class).lock("mine", new Options()).acquire();
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(
                  () -> {
                    context.close();
                    System.out.println("held: " + held.isHeld());
                  }));
    }
  }

  /** A process that ends gives nothing up before its end, though its context closes first. */
  @Test
  void ending() throws Exception {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    File told = folder.resolve("told").toFile();
    Process process =
        new ProcessBuilder(
                java,
                "-cp",
                System.getProperty("java.class.path"),
                Ending.class.getName(),
                "--mpsync.url=" + url(),
                "--spring.main.banner-mode=off",
                "--logging.level.root=warn")
            .redirectErrorStream(true)
            .redirectOutput(told)
            .start();
    assertEquals(0, process.waitFor());
    assertThat(Files.readAllLines(told.toPath())).contains("held: true");
    try (Lock next = new Lock("mine", url())) {
      assertTrue(next.acquire().isHeld());
    }
  }
}
