"""How other projects take the library in: installed, as a subdirectory, fetched; shared or not."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = """#include <mpsync.h>
#include <stdio.h>

int main(void)
{
	mpsync_error error;
	mpsync_client *client = mpsync_client_open("memory:", NULL, NULL, &error);

	puts(client ? mpsync_version() : error.message);
	mpsync_client_close(client);
	return !client;
}
"""
# As where nobody has cmocka.
PKG_CONFIG = """#!/bin/sh
case "$*" in *cmocka*) exit 1 ;; esac
exec {real} "$@"
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mpsync-consumers-"))
        self.addCleanup(shutil.rmtree, self.folder)
        wrapper = self.folder / "pkg-config"
        wrapper.write_text(PKG_CONFIG.format(real=shutil.which("pkg-config")))
        wrapper.chmod(0o755)
        self.environment = {**os.environ, "PKG_CONFIG": str(wrapper)}

    def run_command(self, *command, **changes):
        done = subprocess.run(command, env={**self.environment, **changes}, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        return done.stdout

    def project(self, lines):
        """A program of its own, which finds the library by these lines."""
        source = self.folder / "project"
        source.mkdir(exist_ok=True)
        (source / "main.c").write_text(PROGRAM)
        (source / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(program C)\n" + lines
            + "\nadd_executable(program main.c)\ntarget_link_libraries(program PRIVATE mpsync::mpsync)\n")
        return source

    def build_and_run(self, source, *options):
        build = self.folder / "program"
        self.run_command("cmake", "-S", str(source), "-B", str(build), *options)
        self.run_command("cmake", "--build", str(build), "--target", "program", "-j2")
        said = self.run_command(str(build / "program"))
        self.assertRegex(said, r"^\d+\.\d+\.\d+\n$")
        return build


class Installed(Case):
    def test_plain_build_and_its_install(self):
        """`cmake -S . -B build` as everybody types it, without cmocka; what is installed may be moved."""
        build = self.folder / "build"
        self.run_command("cmake", "-S", str(ROOT), "-B", str(build), "-DCMAKE_INSTALL_PREFIX=/opt/mpsync")
        self.run_command("cmake", "--build", str(build), "-j2")
        self.run_command("cmake", "--install", str(build), DESTDIR=str(self.folder / "root"))
        prefix = (self.folder / "root/opt/mpsync").rename(self.folder / "moved")
        installed = {path.name for path in prefix.rglob("*") if path.is_file()}
        self.assertLessEqual({"mpsync", "mpsync.h", "libmpsync.a", "mpsync.pc", "mpsync-config.cmake", "mpsync.1", "LICENSE"},
                             installed)
        library = next(prefix.rglob("libmpsync.so")).parent
        self.build_and_run(self.project("find_package(mpsync 1 REQUIRED)"), f"-DCMAKE_PREFIX_PATH={prefix}")
        flags = self.run_command("pkg-config", "--cflags", "--libs", "mpsync",
                                 PKG_CONFIG_PATH=str(library / "pkgconfig")).split()
        program = str(self.folder / "by-pkg-config")
        self.run_command("cc", str(self.folder / "project/main.c"), *flags, "-o", program)
        self.run_command(program, LD_LIBRARY_PATH=str(library))


class InTheTree(Case):
    def test_subdirectory_static(self):
        """Its own options, tests and folders stay its own."""
        source = self.project(f"set(BUILD_SHARED_LIBS OFF)\nadd_subdirectory({ROOT} mpsync EXCLUDE_FROM_ALL)")
        build = self.build_and_run(source)
        self.assertFalse(list(build.rglob("libmpsync.so*")))
        self.assertFalse((build / "bin").exists())

    def test_fetched(self):
        source = self.project("include(FetchContent)\nFetchContent_Declare(mpsync SOURCE_DIR " + str(ROOT) + ")\n"
                              "FetchContent_MakeAvailable(mpsync)")
        build = self.build_and_run(source)
        self.assertTrue(list(build.rglob("libmpsync.so")))


class Presets(Case):
    def test_each_is_configured(self):
        for preset in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]:
            with self.subTest(preset["name"]):
                self.run_command("cmake", "-S", str(ROOT), "--preset", preset["name"],
                                 "-B", str(self.folder / preset["name"]), PKG_CONFIG="pkg-config")


if __name__ == "__main__":
    unittest.main()
