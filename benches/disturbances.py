#!/usr/bin/env python3
"""Disturbs a sweep at random for a while, and compares what it finds with an undisturbed run.

Usage: benches/disturbances.py PROGRAM MINUTES [SEED]

Round after round, the sweep below is begun anew on a small tmpfs (needs root) and run to its end while, at random
moments, its orchestrator or a worker is killed (SIGKILL), everything is stopped for a moment (SIGSTOP, SIGCONT), the
disk is filled up, an interrupt is sent, or an entry of the cache is damaged. Two readers call the other commands
without a pause. After each round the leaderboard (without times, devices and attempts) and all parameters,
predictions and metrics must be those of the undisturbed run, and `sweep verify` must find nothing.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

SPEC = """
name = "d"
seed = 7
[data]
path = "d.csv"
positive = "good"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 6
batch_size = 8
[run]
stall_limit = "20s"
checkpoint_every = "1s"
retries = { signal = 100 }
[search.space]
learning_rate = { grid = [3e-4, 1e-3, 2e-3] }
dropout = { grid = [0.0, 0.2] }
"""
PASSING = {"seconds", "device", "attempts", "started", "ended", "warm_started_from", "log", "worst_seconds"}
READERS = [["leaderboard", "d"], ["status", "d"], ["report", "d"], ["list"], ["export-best", "d"], ["leaderboard", "d", "--format", "json"]]
program, minutes = os.path.abspath(sys.argv[1]), float(sys.argv[2])
chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
counts, answers, panics = {}, {}, []


def rows(folder):
    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k not in PASSING}
        return [plain(v) for v in value] if isinstance(value, list) else value

    return plain(json.loads((folder / "results/d/leaderboard.json").read_text()))


def files(folder):
    names = ["best/model.safetensors", "last/model.safetensors", "predictions.csv", "metrics.csv"]
    trials = sorted((folder / "results/d/trials").iterdir())
    return {f"{t.name}/{n}": (t / n).read_bytes() for t in trials for n in names}


def prepare(folder):
    good, bad = ["很好", "满意", "喜欢", "推荐"], ["很差", "失望", "讨厌", "后悔"]
    lines = ["text,label"]
    for i in range(400):
        side, label = (good, "good") if i % 2 == 0 else (bad, "bad")
        if i % 11 == 3:
            label = "bad" if label == "good" else "good"
        lines.append(f"第{i}次{side[i // 2 % 4]}{'一般' * (i % 7)},{label}")
    (folder / "d.csv").write_text("\n".join(lines) + "\n")
    (folder / "d.toml").write_text(SPEC)


def tree(pid):
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += tree(int(child))
        except OSError:
            pass
    return found


def send(pid, what):
    try:
        os.kill(pid, what)
    except OSError:
        pass


def disturb(run, folder):
    """Does one thing at random. Returns its name."""
    deed = chance.choice(["orchestrator", "worker", "worker", "freeze", "disk", "disk", "interrupt", "cache"])
    pids = tree(run.pid)
    if deed == "orchestrator":
        send(run.pid, signal.SIGKILL)
    elif deed == "worker" and len(pids) > 1:
        send(chance.choice(pids[1:]), signal.SIGKILL)
    elif deed == "freeze":
        for pid in pids:
            send(pid, signal.SIGSTOP)
        time.sleep(chance.uniform(0.2, 2.5))
        for pid in pids:
            send(pid, signal.SIGCONT)
    elif deed == "disk":
        filler = folder / "filler"
        try:
            with open(filler, "wb", buffering=0) as out:
                while out.write(b"x" * (1 << 20)):
                    pass
        except OSError:
            pass
        time.sleep(chance.uniform(0.2, 2))
        filler.unlink(missing_ok=True)
    elif deed == "interrupt":
        send(run.pid, signal.SIGINT)
    elif deed == "cache":
        entries = [e for e in (folder / "results/.cache").glob("*") if len(e.name) == 64]
        if not entries:
            return None
        entry = chance.choice(entries)
        try:
            with open(entry, "r+b") as file:
                length = entry.stat().st_size
                if chance.random() < 0.5:
                    file.seek(chance.randrange(length))
                    byte = file.read(1)
                    file.seek(-1, 1)
                    file.write(bytes([byte[0] ^ 16]))
                else:
                    file.truncate(chance.randrange(length))
        except OSError:
            return None
    return deed


def read_on(folder, number, is_over):
    own = random.Random(number)
    while not is_over.is_set():
        words = own.choice(READERS)
        done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True)
        key = (words[0], done.returncode)
        answers[key] = answers.get(key, 0) + 1
        if "panicked" in done.stderr or done.returncode < 0 or done.returncode == 101:
            panics.append((words, done.returncode, done.stderr[-400:]))
        time.sleep(0.15)


def round_of(folder, expected):
    subprocess.run(["rm", "-rf", str(folder / "results")], check=True)
    is_over = threading.Event()
    readers = [threading.Thread(target=read_on, args=(folder, n, is_over)) for n in range(2)]
    for reader in readers:
        reader.start()
    begun, code, runs = time.time(), None, 0
    while code != 0:
        runs += 1
        command = [program, "run", "d.toml", "--devices", "cpu:2"]
        with open("/tmp/disturbances.err", "ab") as err:
            run = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=err)
        while run.poll() is None:
            time.sleep(chance.uniform(0.05, 1.2))
            # A round comes to its end: its later runs are left alone more and more.
            if run.poll() is None and chance.random() < min(1, 10 / runs**1.5):
                deed = disturb(run, folder)
                if deed:
                    counts[deed] = counts.get(deed, 0) + 1
        code = run.returncode
        counts[f"exit {code}"] = counts.get(f"exit {code}", 0) + 1
        if code == 101:
            panics.append((command, code, ""))
        for pid in tree(run.pid)[1:]:
            send(pid, signal.SIGKILL)
        if time.time() - begun > 900:
            print("a round did not end", flush=True)
            break
    is_over.set()
    for reader in readers:
        reader.join()
    verify = subprocess.run([program, "verify", "d"], cwd=folder, capture_output=True, text=True)
    found = (rows(folder), files(folder))
    same = [found[0] == expected[0], found[1] == expected[1], verify.returncode == 0]
    if not all(same):
        print("DIFFERS:", same, verify.stdout[-600:], verify.stderr[-400:], flush=True)
        for name in found[1]:
            if found[1][name] != expected[1].get(name):
                print("  file", name, flush=True)
    return all(same)


def main():
    folder = Path("/tmp/disturbances")
    subprocess.run(["umount", str(folder)], capture_output=True)
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)], check=True)
    try:
        prepare(folder)
        subprocess.run([program, "run", "d.toml", "--devices", "cpu:2"], cwd=folder, check=True, capture_output=True)
        expected = (rows(folder), files(folder))
        until, rounds, good = time.time() + 60 * minutes, 0, 0
        while time.time() < until:
            good += round_of(folder, expected)
            rounds += 1
            print(f"{rounds} rounds, {good} equal, {counts}", flush=True)
        print("readers' answers:", dict(sorted(answers.items())))
        print("panics:", len(panics), panics[:5])
        injected = sum(n for k, n in counts.items() if not k.startswith("exit"))
        print(f"{rounds} rounds, {injected} injections, {rounds - good} other results")
        sys.exit(0 if good == rounds and not panics else 1)
    finally:
        subprocess.run(["umount", str(folder)])


if __name__ == "__main__":
    main()
