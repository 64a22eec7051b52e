"""A program with one or more copies of the library in it, which does what it reads, a line each.

  open CLIENT COPY URL | take CLIENT NAME WAIT_MS | held CLIENT NAME | release CLIENT NAME
  url CLIENT | close CLIENT | enter FOLDER | look FILE | turns CLIENT,CLIENT… COUNT
  fork FIFO: the child reads from there, and has no clients
"""
import ctypes
import os
import sys
import threading


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("message", ctypes.c_char * 248)]


class Client:
    def __init__(self, library, url):
        self.library = library
        self.locks = {}
        self.error = Error()
        self.handle = library.mpsync_client_open(url.encode(), None, None, ctypes.byref(self.error))

    def lock(self, name):
        if name not in self.locks:
            self.locks[name] = self.library.mpsync_lock_new(self.handle, name.encode(), None, None)
        return self.locks[name]

    def take(self, name, wait_ms):
        error = Error()
        status = self.library.mpsync_lock_acquire(self.lock(name), int(wait_ms), ctypes.byref(error))
        return status, error.message.decode()

    def grant(self, name):
        return self.library.mpsync_lock_grant(self.lock(name))

    def held(self, name):
        return self.library.mpsync_lock_is_held(self.lock(name), self.grant(name))

    def token(self, name):
        return self.library.mpsync_lock_token(self.lock(name), self.grant(name))

    def release(self, name):
        return self.library.mpsync_lock_release(self.lock(name), None)

    def close(self):
        for lock in self.locks.values():
            self.library.mpsync_lock_free(lock)
        self.library.mpsync_client_close(self.handle)


def load(path):
    library = ctypes.CDLL(path)
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    for name, result, arguments in (
            ("client_open", pointer, [ctypes.c_char_p, pointer, pointer, pointer]),
            ("client_url", ctypes.c_char_p, [pointer]),
            ("client_close", None, [pointer]),
            ("lock_new", pointer, [pointer, ctypes.c_char_p, pointer, pointer]),
            ("lock_free", None, [pointer]),
            ("lock_acquire", ctypes.c_int, [pointer, ctypes.c_int64, pointer]),
            ("lock_release", ctypes.c_int, [pointer, pointer]),
            ("lock_grant", number, [pointer]),
            ("lock_is_held", ctypes.c_int32, [pointer, number]),
            ("lock_token", number, [pointer, number])):
        function = getattr(library, "mpsync_" + name)
        function.restype, function.argtypes = result, arguments
    return library


def take_turns(clients, count):
    """Each client on a thread of its own, all for the same three names; no two may hold one."""
    holders = {}
    tokens = {}
    problems = []

    def run(client):
        for turn in range(count):
            name = f"turns/{turn % 3}"
            status, message = client.take(name, -1)
            if status != 0:
                problems.append(f"{name}: {message}")
                return
            if holders.setdefault(name, client) is not client:
                problems.append(f"{name} is held twice")
            if client.token(name) <= tokens.get(name, 0):
                problems.append(f"{name}: a token does not rise")
            tokens[name] = client.token(name)
            del holders[name]
            client.release(name)

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


class Program:
    def __init__(self):
        self.copies = {}
        self.clients = {}

    def open(self, name, path, url):
        if path not in self.copies:
            self.copies[path] = load(path)
        client = Client(self.copies[path], url)
        if not client.handle:
            return "refused " + client.error.message.decode()
        self.clients[name] = client
        return "opened"

    def take(self, client, name, wait_ms):
        status, message = self.clients[client].take(name, wait_ms)
        return f"took {self.clients[client].token(name)}" if status == 0 else f"failed {message}"

    def held(self, client, name):
        return f"held {self.clients[client].held(name)}"

    def release(self, client, name):
        return f"released {self.clients[client].release(name)}"

    def url(self, client):
        client = self.clients[client]
        return "url " + client.library.mpsync_client_url(client.handle).decode()

    def close(self, client):
        self.clients.pop(client).close()
        return "closed"

    def enter(self, folder):
        os.chdir(folder)
        return "entered"

    def look(self, path):
        with open(path, "rb") as file:
            file.read(1)
        return "looked"

    def turns(self, names, count):
        return f"turns {take_turns([self.clients[name] for name in names.split(',')], int(count))}"

    def fork(self, fifo):
        if os.fork() != 0:
            return "forked"
        self.clients = {}
        with open(fifo, encoding="utf-8") as commands:
            self.run(commands)
        os._exit(0)

    def run(self, commands):
        for line in commands:
            command, *words = line.split()
            print(getattr(self, command)(*words), flush=True)


Program().run(sys.stdin)
