#!/usr/bin/python3
"""A writer for Quench in Python, with the standard library alone. (docs/writer-protocol.md)

It speaks for an imaginary application whose data are the files of one folder, and which writes only while it holds a lock:
flock(2) on the file "lock" there. Freezing is taking that lock; thawing is giving it back. The kernel gives it back too when
this process ends, however that happens, so nothing stays held.

As a program:   copy it to /etc/quench/writers, owned by root, mode 0755
As a service:   counter_writer.py --socket /run/quench/writers/counter.sock
The folder:     the environment variable COUNTER_FOLDER, or the only line of the file ".counter.conf" beside this one, or /srv/counter
"""
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

WRITER_ID = "b3f6a4de-55c3-4d2c-8f0e-0f7d6a1c9e42"


class Failed(Exception):
    """Is answered as a failure: what kind, and why."""

    def __init__(self, error, message):
        super().__init__(message)
        self.error = error


class CounterWriter:
    def __init__(self, folder):
        self.folder = folder
        self.lock = None
        self.hold_limit = 20.0
        self.let_go_at = None

    def identify(self, _):
        if not self.folder.is_dir():
            raise Failed("non-retryable", f"{self.folder} is not there")
        return {"writer": {
            "id": WRITER_ID, "name": "Counter", "instance": str(self.folder), "version": "1.0", "level": "back-end",
            "method": "it takes the lock that the application writes under; a restored copy needs nothing",
            "components": [{
                "name": "counter", "kind": "file-group", "restore": "stop-restore-start",
                "files": [{"folder": str(self.folder), "pattern": "*", "recursive": True}],
                "excluded": [{"folder": str(self.folder), "pattern": "lock", "recursive": False}]}]}}

    def prepare_backup(self, call):
        self.hold_limit = call["hold_limit_ms"] / 1000

    def prepare_snapshot(self, _):
        self.lock = open(self.folder / "lock", "w")

    def freeze(self, call):
        deadline = time.monotonic() + call["deadline_ms"] / 1000
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Failed("timeout", "the application did not let go of its lock")
                select.select([], [], [], 0.01)
        self.let_go_at = time.monotonic() + self.hold_limit

    def thaw(self, _):
        held = self.let_go_at is not None
        self.let_go()
        return {"held": held} if held else {"held": False, "message": "the lock had been given back before"}

    def post_snapshot(self, _):
        return {"documents": []}

    def backup_complete(self, _):
        self.let_go()

    def abort(self, _):
        self.let_go()

    def let_go(self):
        if self.lock is not None:
            self.lock.close()
        self.lock = self.let_go_at = None

    def seconds_left(self):
        return None if self.let_go_at is None else max(0.0, self.let_go_at - time.monotonic())

    def answer(self, line):
        call = json.loads(line)
        handler = getattr(self, call["event"].replace("-", "_"), None)
        try:
            if handler is None:
                raise Failed("non-retryable", f"this writer does not know {call['event']}")
            said = {"ok": True, **(handler(call) or {})}
        except Failed as failure:
            said = {"ok": False, "error": failure.error, "message": str(failure)}
        except OSError as failure:
            said = {"ok": False, "error": "retryable", "message": str(failure)}
        return (json.dumps({"call": call["call"], **said}) + "\n").encode()


def converse(writer, incoming, outgoing):
    """Answers line by line until the other side hangs up. Lets go by itself when the limit has passed, and at the end."""
    pending = b""
    try:
        while True:
            ready, _, _ = select.select([incoming], [], [], writer.seconds_left())
            if not ready:
                writer.let_go()
                continue
            more = os.read(incoming, 65536)
            if not more:
                return
            *lines, pending = (pending + more).split(b"\n")
            for line in lines:
                os.write(outgoing, writer.answer(line))
    finally:
        writer.let_go()


def serve(folder, path):
    """Listens where only root can; one conversation at a time."""
    Path(path).unlink(missing_ok=True)
    os.umask(0o077)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    converse(CounterWriter(folder), connection.fileno(), connection.fileno())
                except OSError as failure:
                    print(f"the conversation broke: {failure}", file=sys.stderr)


def folder_of_this_writer():
    conf = Path(__file__).with_name(".counter.conf")
    named = os.environ.get("COUNTER_FOLDER") or (conf.read_text().strip() if conf.exists() else "/srv/counter")
    return Path(named)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if len(sys.argv) == 3 and sys.argv[1] == "--socket":
        serve(folder_of_this_writer(), sys.argv[2])
    else:
        converse(CounterWriter(folder_of_this_writer()), 0, 1)
