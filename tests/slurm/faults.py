#!/usr/bin/env python3
"""Runs a sweep on a throw-away Slurm cluster while nodes, daemons, jobs and the orchestrator fail, and compares what
comes out with a run on this machine: leaderboard, predictions and parameters, byte by byte.

usage: faults.py SWEEP_PROGRAM FOLDER [--injections 100] [--seed 1] [--only KIND …] [--samples 8] [--workers 4]
                 [--quick]

FOLDER is for the cluster's state and the results. Prints a line for each sweep, then a table by kind of fault. The exit
code is 1 if a sweep came out otherwise than on this machine, 3 if there is no Slurm.
"""
import argparse
import collections
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
parser = argparse.ArgumentParser()
parser.add_argument('program')
parser.add_argument('folder')
parser.add_argument('--injections', type=int, default=100)
parser.add_argument('--seed', type=int, default=1)
parser.add_argument('--only', nargs='*')
parser.add_argument('--samples', type=int, default=8, help='trials of a sweep')
parser.add_argument('--workers', type=int, default=4, help='jobs of a sweep; four of them have a node')
parser.add_argument('--quick', action='store_true', help='the default sweep once, then one fault of each quick kind')
args = parser.parse_args()
args.program, args.folder = os.path.abspath(args.program), os.path.abspath(args.folder)
CLUSTER = f'{args.folder}/cluster'
os.environ['SLURM_CONF'] = f'{CLUSTER}/slurm.conf'
DEADLINE = 300
# A run on another login node waits so long for a sign of life of the one before.
SILENCE = 90


def slurm(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout


class Cluster:
    """The daemons of the cluster, and the processes of jobs."""

    def __init__(self):
        environment = dict(os.environ, NODES='4', CPUS='1')
        code = subprocess.run([f'{HERE}/cluster.sh', 'start', CLUSTER], env=environment).returncode
        if code == 3:
            print('skipped: there is no Slurm here, and it cannot be installed')
            sys.exit(3)
        if code:
            subprocess.run([f'{HERE}/cluster.sh', 'stop', CLUSTER])
            print('skipped: the cluster did not start' if args.quick else 'the cluster did not start')
            sys.exit(3 if args.quick else 1)

    def pid(self, name):
        for line in reversed(open(f'{CLUSTER}/daemons').read().split('\n')):
            if line.endswith(f' {name}'):
                return int(line.split()[0])

    def kill(self, name):
        os.kill(self.pid(name), signal.SIGKILL)

    def start(self, name):
        command = ['slurmctld', '-D'] if name == 'slurmctld' else ['slurmd', '-D', '-N', name]
        out = open(f'{CLUSTER}/log/{name}.out', 'a')
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        with open(f'{CLUSTER}/daemons', 'a') as daemons:
            daemons.write(f'{child.pid} {name}\n')

    def stop(self):
        subprocess.run([f'{HERE}/cluster.sh', 'stop', CLUSTER])


def pilots(node=None):
    """Process numbers of pilots, of one node or all."""
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        pid = int(path.split('/')[2])
        try:
            words = open(path, 'rb').read().split(b'\0')
            if len(words) < 2 or words[1] != b'pilot' or not words[0].endswith(b'sweep'):
                continue
            environment = dict(pair.split(b'=', 1) for pair in open(f'/proc/{pid}/environ', 'rb').read().split(b'\0') if b'=' in pair)
            if environment.get(b'SLURM_CONF', b'').decode() != os.environ['SLURM_CONF']:
                continue
            if node is None or environment.get(b'SLURMD_NODENAME', b'').decode() == node:
                found.append(pid)
        except OSError:
            continue
    return found


def nodes():
    """The nodes on which pilots run, or all."""
    return [node for node in ('n1', 'n2', 'n3', 'n4') if pilots(node)] or ['n1', 'n2', 'n3', 'n4']


def with_children(pid):
    """A process and all below it."""
    below = collections.defaultdict(list)
    for path in glob.glob('/proc/[0-9]*/stat'):
        try:
            text = open(path).read()
        except OSError:
            continue
        below[int(text.rsplit(')', 1)[1].split()[1])].append(int(text.split()[0]))
    all_of_them, queue = [], [pid]
    while queue:
        pid = queue.pop()
        all_of_them.append(pid)
        queue += below[pid]
    return all_of_them


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass


class Sweep:
    """A sweep that runs on the cluster."""

    def __init__(self, number, results=None):
        self.results = results or f'{args.folder}/results-{number}'
        shutil.rmtree(self.results, ignore_errors=True)
        self.path = os.environ['PATH']
        self.host = 'login1'
        self.orchestrator = None
        self.out = open(f'{args.folder}/run-{number}.log', 'w')

    def command(self, *words):
        command = [args.program, '--results', self.results, *words]
        # On a login node of this name, which only root can make up.
        if os.geteuid() == 0:
            command = ['unshare', '--uts', 'sh', '-c', 'hostname "$0" && exec "$@"', self.host, *command]
        return command

    def run(self):
        command = self.command('run', f'{HERE}/spec.toml', '--executor', 'slurm', '--workers', str(args.workers),
                               '--set', f'search.samples={args.samples}')
        environment = dict(os.environ, PATH=self.path)
        self.orchestrator = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out, env=environment, start_new_session=True)

    def log(self):
        try:
            lines = open(f'{self.results}/faults/events.jsonl').read().split('\n')[:-1]
        except OSError:
            return []
        return [json.loads(line) for line in lines]

    def finished(self):
        return [record['trial'] for record in self.log() if 'finished' in record['event']]

    def is_over(self):
        return self.orchestrator.poll() is not None

    def wait_for(self, condition, seconds=DEADLINE):
        """Waits until the condition holds or the run is over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.is_over():
            if condition():
                return True
            time.sleep(0.1)
        return False


# The kinds of faults. Each does one thing to a sweep that runs, and says in a word what it met.

def node_killed(sweep, cluster):
    node = random.choice(nodes())
    found = pilots(node)
    cluster.kill(node)
    for pilot in found:
        send(with_children(pilot), signal.SIGKILL)
    time.sleep(3)
    cluster.start(node)
    return f'{len(found)} pilots'


def slurmd_killed(sweep, cluster):
    """Split brain: the job of a node without its daemon is requeued, while its processes go on."""
    node = random.choice(nodes())
    found = pilots(node)
    cluster.kill(node)
    time.sleep(random.choice([3, 14]))
    cluster.start(node)
    return f'{len(found)} pilots'


def controller_killed(sweep, cluster):
    cluster.kill('slurmctld')
    time.sleep(4)
    cluster.start('slurmctld')
    return ''


def preempted(sweep, cluster):
    slurm('sbatch', '--partition=urgent', '--nodes=1', '--exclusive', '--time=1', '--output=/dev/null', '--wrap=sleep 4')
    time.sleep(3)
    return ''


def time_is_over(sweep, cluster):
    """The signal that Slurm sends before a job's time limit, to its batch process."""
    jobs = slurm('squeue', '-h', '-t', 'R', '-p', 'main', '-o', '%i').split()
    if jobs:
        slurm('scancel', '--batch', '--signal=USR1', random.choice(jobs))
    return f'{len(jobs)} jobs'


def scancelled(sweep, cluster):
    jobs = slurm('squeue', '-h', '-t', 'R', '-p', 'main', '-o', '%i').split()
    if jobs:
        slurm('scancel', random.choice(jobs))
    return f'{len(jobs)} jobs'


def orchestrator_killed(sweep, cluster):
    sweep.orchestrator.kill()
    sweep.orchestrator.wait()
    time.sleep(random.choice([0, 1]))
    sweep.run()
    return ''


def orchestrator_away(sweep, cluster):
    """It comes back after every worker has finished its trial."""
    sweep.orchestrator.kill()
    sweep.orchestrator.wait()
    time.sleep(12)
    sweep.run()
    return ''


def other_login_node(sweep, cluster):
    """The orchestrator is killed, and the sweep goes on from another login node."""
    sweep.orchestrator.kill()
    sweep.orchestrator.wait()
    sweep.host = 'login2' if sweep.host == 'login1' else 'login1'
    sweep.run()
    time.sleep(SILENCE)
    return ''


def cancelled(sweep, cluster):
    """The user ends the run, cancels its jobs, and runs it again."""
    sweep.orchestrator.send_signal(signal.SIGINT)
    sweep.orchestrator.wait()
    subprocess.run(sweep.command('cancel', 'faults'), stdin=subprocess.DEVNULL, stdout=sweep.out, stderr=sweep.out)
    sweep.run()
    return ''


def worker_stopped(sweep, cluster, seconds=9):
    """A worker stands still until its trial was given to another one, and wakes up then."""
    found = pilots()
    if found:
        family = with_children(random.choice(found))
        send(family, signal.SIGSTOP)
        time.sleep(seconds)
        send(family, signal.SIGCONT)
    return f'{len(found)} pilots'


def worker_stopped_long(sweep, cluster):
    return worker_stopped(sweep, cluster, 180)


def worker_killed(sweep, cluster):
    """The process that trains, not its pilot."""
    found = [child for pilot in pilots() for child in with_children(pilot) if child != pilot]
    if found:
        send([random.choice(found)], signal.SIGKILL)
    return f'{len(found)} workers'


def pilot_killed(sweep, cluster):
    found = pilots()
    if found:
        send([random.choice(found)], signal.SIGKILL)
    return f'{len(found)} pilots'


def submission_unclear(sweep, cluster):
    """The next sbatch submits its job and then fails, as after a time-out. A job is ended so that there is a next one."""
    wrappers = f'{args.folder}/wrappers'
    os.makedirs(wrappers, exist_ok=True)
    with open(f'{wrappers}/sbatch', 'w') as file:
        file.write(f'#!/bin/sh\n{shutil.which("sbatch")} "$@" >/dev/null\n'
                   'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2\nexit 1\n')
    os.chmod(f'{wrappers}/sbatch', 0o755)
    sweep.orchestrator.kill()
    sweep.orchestrator.wait()
    sweep.path = f'{wrappers}:{os.environ["PATH"]}'
    sweep.run()
    scancelled(sweep, cluster)
    time.sleep(3)
    return ''


def folder_full(sweep, cluster):
    """The shared folder has no space for some seconds."""
    space = os.statvfs(sweep.results)
    ballast = os.open(f'{sweep.results}/ballast', os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(ballast, bytes(1 << 16))
    except OSError:
        os.close(ballast)
    time.sleep(5)
    os.remove(f'{sweep.results}/ballast')
    return f'{space.f_bavail * space.f_bsize >> 20} MB'


KINDS = [node_killed, slurmd_killed, controller_killed, preempted, time_is_over, scancelled, orchestrator_killed,
         orchestrator_away, worker_stopped, worker_killed, pilot_killed, submission_unclear, folder_full,
         cancelled]
# Minutes each: only where they are named.
LONG = [other_login_node, worker_stopped_long]
QUICK = [slurmd_killed, orchestrator_killed, time_is_over, scancelled, pilot_killed, worker_stopped]


def digest(path):
    return hashlib.sha256(open(path, 'rb').read()).hexdigest()[:16]


def outcome(folder):
    """What must be the same: the leaderboard without times, devices and attempts, and the files of each trial."""
    board = json.load(open(f'{folder}/leaderboard.json'))
    for row in board:
        for key in ('seconds', 'device', 'attempts', 'resumed', 'host'):
            row.pop(key, None)
    files = sorted(glob.glob(f'{folder}/trials/*/predictions.csv') + glob.glob(f'{folder}/trials/*/best/*')
                   + glob.glob(f'{folder}/trials/*/last/model.safetensors'))
    return board, {os.path.relpath(file, folder): digest(file) for file in files}


def compare(mine, reference):
    """What differs, in words."""
    differences = []
    for one, other in zip(*[outcome(folder)[0] for folder in (mine, reference)]):
        differences += [f'trial {other["trial"]}: {key}' for key in other if one.get(key) != other[key]]
    mine, reference = outcome(mine)[1], outcome(reference)[1]
    return differences + [name for name in sorted(set(mine) | set(reference)) if mine.get(name) != reference.get(name)]


def leftovers(sweep):
    """Folders of attempts, and jobs, that nobody has taken away."""
    left = glob.glob(f'{sweep.results}/faults/trials/*attempt*')
    return [os.path.basename(path) for path in left]


def one_sweep(number, cluster, kinds, count):
    """A sweep with `count` faults. Returns the kinds that were injected, and what is wrong."""
    results = None
    if folder_full in kinds and len(kinds) == 1:
        results = f'{args.folder}/small'
        subprocess.run(['umount', results], capture_output=True)
        os.makedirs(results, exist_ok=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', results], check=True)
    sweep = Sweep(number, results)
    sweep.run()
    done, begun = [], time.monotonic()
    for at in range(count):
        # At some moment after some trials have ended.
        wanted = at * 8 // max(count, 1)
        if not sweep.wait_for(lambda: len(sweep.finished()) >= wanted and len(pilots()) > 0):
            break
        time.sleep(random.random() * 3)
        if sweep.is_over():
            break
        kind = random.choice(kinds)
        met = kind(sweep, cluster)
        done.append(f'{kind.__name__}{f" ({met})" if met else ""}')
    try:
        sweep.orchestrator.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        sweep.orchestrator.kill()
        return done, ['it did not end'], time.monotonic() - begun
    if sweep.orchestrator.returncode == 5 and folder_full in kinds:
        # The trials are complete, and the disk was full when pictures were drawn: the same command goes on.
        sweep.run()
        sweep.orchestrator.wait(DEADLINE)
    wrong = []
    if sweep.orchestrator.returncode:
        wrong.append(f'exit code {sweep.orchestrator.returncode}')
    finished = collections.Counter(sweep.finished())
    wrong += [f'trial {trial} finished {times} times' for trial, times in finished.items() if times != 1]
    if sweep.orchestrator.returncode == 0:
        wrong += compare(f'{sweep.results}/faults', f'{args.folder}/local/faults')
        wrong += leftovers(sweep)
    if results:
        subprocess.run(['umount', '-l', results])
    return done, wrong, time.monotonic() - begun


def default_sweep():
    """The sweep that the README begins with, on this machine and on the cluster. Returns what differs."""
    spec = f'{os.path.dirname(os.path.dirname(HERE))}/sweeps/lr_dropout.toml'
    for name, options in (('here', []), ('there', ['--executor', 'slurm', '--workers', '4', '--set', 'executor.poll=1s'])):
        shutil.rmtree(f'{args.folder}/{name}', ignore_errors=True)
        command = [args.program, '--results', f'{args.folder}/{name}', 'run', spec, *options]
        begun = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        print(f'the default sweep {name}: {time.monotonic() - begun:.0f} s, exit code {done.returncode}', flush=True)
        if done.returncode:
            return [done.stderr]
    return compare(f'{args.folder}/there/lr_dropout', f'{args.folder}/here/lr_dropout')


def main():
    random.seed(args.seed)
    os.makedirs(args.folder, exist_ok=True)
    shutil.rmtree(f'{args.folder}/local', ignore_errors=True)
    subprocess.run([args.program, '--results', f'{args.folder}/local', 'run', f'{HERE}/spec.toml', '--executor', 'local',
                    '--set', f'search.samples={args.samples}'],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cluster = Cluster()
    chosen = [kind for kind in KINDS + LONG if kind.__name__ in args.only] if args.only else KINDS
    if args.quick:
        chosen = QUICK
    table, failed, number, injected = collections.Counter(), 0, 0, 0
    bad = collections.Counter()
    try:
        if args.quick:
            wrong = default_sweep()
            print(f'the default sweep: {"; ".join(wrong) or "the same"}', flush=True)
            failed += bool(wrong)
        while injected < (len(QUICK) if args.quick else args.injections):
            if args.quick:
                kinds, count = [QUICK[number]], 1
            elif all(kind in LONG for kind in chosen):
                kinds, count = [chosen[number % len(chosen)]], 1
            elif number % 2 == 0 or len(chosen) == 1:
                kinds, count = [chosen[number // 2 % len(chosen)]], 3
            else:
                kinds, count = [kind for kind in chosen if kind is not folder_full], 4
            done, wrong, seconds = one_sweep(number, cluster, kinds, count)
            injected += len(done)
            table.update(kind.split()[0] for kind in done)
            failed += bool(wrong)
            bad.update(kind.split()[0] for kind in done if wrong)
            print(f'{number}: {seconds:.0f} s, {", ".join(done) or "nothing"}: {"; ".join(wrong) or "the same"}', flush=True)
            number += 1
    finally:
        cluster.stop()
    print('\n| fault | injections | sweeps that came out otherwise |\n| --- | --: | --: |')
    for kind in chosen:
        print(f'| {kind.__name__} | {table[kind.__name__]} | {bad[kind.__name__]} |')
    print(f'\n{injected} faults in {number} sweeps, {failed} of which came out otherwise')
    sys.exit(bool(failed))


main()
