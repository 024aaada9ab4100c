"""The peak memory of a sweep's processes over a large CSV, and the time until two trials have begun to train.

    python3 benches/memory_of_data.py SWEEP GIGABYTES [LIMIT]

SWEEP is the program, GIGABYTES the size of the file (0.1, 1, 5), LIMIT the documents of `limit.train`; validation and
test get a quarter of it each. The file has texts of about 1 kB, and stays in the folder of temporary files for the next
call. The run is interrupted when both workers have prepared their trials.
"""

import os, pathlib, random, shutil, signal, subprocess, sys, tempfile, time

WORDS = "room hotel good bad clean noisy staff friendly breakfast cold the was and very 酒店 房间".split()


def data(gigabytes):
    path = pathlib.Path(tempfile.gettempdir()) / f"sweep-memory-{gigabytes}.csv"
    if path.exists():
        return path
    chance, size, done, row = random.Random(7), float(gigabytes) * 1e9, 0, 0
    with open(path, "w", encoding="utf-8") as out:
        out.write("text,label\n")
        while done < size:
            lines = []
            for _ in range(2000):
                row += 1
                text = " ".join(chance.choices(WORDS, k=170))
                lines.append(f"row {row} {text} {'great' if row % 2 else 'awful'},{row % 2}\n")
            block = "".join(lines)
            out.write(block)
            done += len(block.encode())
    return path


def spec(path, limit):
    limits = f"limit = {{ train = {limit}, validation = {limit // 4}, test = {limit // 4} }}\n" if limit else ""
    return (
        f'name = "memory"\n[data]\npath = "{path}"\n{limits}[model]\ncheckpoint = "builtin:mini"\n'
        '[text]\nchunk_length = 32\nchunk_stride = 4\nlong = "head"\n[train]\nepochs = 1\n'
        "[search.space]\nlearning_rate = { grid = [1e-4, 2e-4] }\n"
        '[run]\ncache = "20GB"\nstall_limit = "2h"\n'
    )


def peak(pid):
    """Megabytes of memory at the peak, files that are mapped included."""
    try:
        lines = open(f"/proc/{pid}/status").read().splitlines()
    except OSError:
        return 0
    return max([int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM")], default=0)


def children(pid):
    try:
        return [int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []


def main():
    program, gigabytes = os.path.abspath(sys.argv[1]), sys.argv[2]
    limit = int(sys.argv[3]) if len(sys.argv) > 3 else None
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "memory.toml").write_text(spec(data(gigabytes), limit))
    begin = time.time()
    words = [program, "run", "memory.toml", "--devices", "cpu:2"]
    run = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=open(folder / "errors", "w"))
    peaks, log = {run.pid: 0}, folder / "results/memory/events.jsonl"
    while run.poll() is None:
        for pid in [run.pid, *children(run.pid)]:
            peaks[pid] = max(peaks.get(pid, 0), peak(pid))
        if log.exists() and log.read_text().count('"prepared"') >= 2:
            break
        time.sleep(0.05)
    seconds = time.time() - begin
    if run.poll() is None:
        # The second one does not wait for the end of a step.
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGINT)
        run.wait()
    elif run.returncode != 0:
        print((folder / "errors").read_text())
    workers = ", ".join(f"{peaks[pid]} MB" for pid in peaks if pid != run.pid)
    print(f"{gigabytes} GB, limit {limit}: {seconds:.0f} s; orchestrator {peaks[run.pid]} MB; workers {workers}")
    shutil.rmtree(folder)


main()
