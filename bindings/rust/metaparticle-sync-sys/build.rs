//! Finds an installed libmpsync, or builds the one of this repository.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=MPSYNC_STATIC");
    let wanted = std::env::var_os("MPSYNC_STATIC").is_none();
    if wanted && pkg_config::Config::new().atleast_version("1.0").probe("mpsync").is_ok() {
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
    println!("cargo:rustc-link-search=native={}/build/lib", built.display());
    println!("cargo:rustc-link-lib=static=mpsync");
    for library in ["libevent_openssl", "libevent", "libcurl", "libcjson", "yaml-0.1", "openssl"] {
        pkg_config::Config::new().probe(library).expect(library);
    }
    // As the C library itself links them: two copies of SQLite in one process, if one is shared,
    // drop each other's file locks.
    for (package, archive) in [("sqlite3", "sqlite3"), ("libprotobuf-c", "protobuf-c")] {
        let folder = pkg_config::get_variable(package, "libdir").expect(package);
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-lib=static={archive}");
    }
    println!("cargo:rustc-link-lib=m");
}
