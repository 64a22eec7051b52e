package io.metaparticle.sync.internal;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;

/** Loads the native library that the jar carries. */
final class Library {
  private Library() {}

  static void load() {
    String machine = System.getProperty("os.arch").replace("amd64", "x86_64");
    String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String resource = system + "-" + machine + "/libmpsync_java.so";
    try (InputStream library = Library.class.getResourceAsStream(resource)) {
      if (library == null) {
        throw new UnsatisfiedLinkError(
            "this jar carries no " + resource + "; build it here with Maven");
      }
      Path file = Files.createTempFile("libmpsync_java", ".so");
      try {
        Files.copy(library, file, StandardCopyOption.REPLACE_EXISTING);
        System.load(file.toString());
      } finally {
        Files.deleteIfExists(file); // it is mapped, and needs its name no more
      }
    } catch (IOException e) {
      throw (UnsatisfiedLinkError)
          new UnsatisfiedLinkError("the native library cannot be unpacked: " + e.getMessage())
              .initCause(e);
    }
  }
}
