//! Finds an installed libmpsync, or builds the one of this repository.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=MPSYNC_STATIC");
    let wanted = std::env::var_os("MPSYNC_STATIC").is_none();
    if wanted
        && pkg_config::Config::new()
            .atleast_version("1.0")
            .probe("mpsync")
            .is_ok()
    {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    for folder in ["core/libmpsync", "include", "CMakeLists.txt"] {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
    }
    let built = cmake::Config::new(&root)
        .define("BUILD_TESTING", "OFF")
        .build_target("mpsync-static")
        .profile("RelWithDebInfo")
        .build();
    println!(
        "cargo:rustc-link-search=native={}/build/lib",
        built.display()
    );
    println!("cargo:rustc-link-lib=static=mpsync");
    for library in [
        "libevent_openssl",
        "libevent",
        "libcurl",
        "libcjson",
        "yaml-0.1",
        "openssl",
    ] {
        pkg_config::Config::new().probe(library).expect(library);
    }
    // As the C library itself links them: SQLite's file locks are the process's.
    for library in ["sqlite3", "protobuf-c"] {
        pkg_config::Config::new()
            .statik(true)
            .probe(library)
            .expect(library);
    }
}
