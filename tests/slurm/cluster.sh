#!/usr/bin/env bash
# A throw-away Slurm cluster of virtual nodes on this machine, on loopback only, for tests.
# Usage: cluster.sh start DIR | stop DIR        then: export SLURM_CONF=DIR/slurm.conf
# NODES, CPUS and GPUS say how large it is (4 nodes of 4 processors and 2 fake GPUs), PORT where it listens.
# As root, it installs Debian's slurm-wlm and munge if they are missing. Exit code 3: there is no Slurm here.
set -euo pipefail
action=${1:?start or stop} dir=${2:?a folder for its state}
nodes=${NODES:-4} cpus=${CPUS:-4} gpus=${GPUS:-2} port=${PORT:-17817}
daemons=$dir/daemons

# Ends a daemon that this script has started, if that number is still its process.
end() {
    case $({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null || true) in
    *slurmctld* | *slurmd* | *munged*) kill "-${2:-TERM}" "$1" 2>/dev/null || true ;;
    esac
}

stop() {
    [[ -s $daemons ]] || return 0
    SLURM_CONF=$dir/slurm.conf timeout 10 scancel --user="$(id -un)" 2>/dev/null || true
    sleep 1
    tac "$daemons" | while read -r pid _; do end "$pid"; done
    sleep 1
    tac "$daemons" | while read -r pid _; do end "$pid" KILL; done
    rm -f "$daemons"
}

install() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    local policy=/usr/sbin/policy-rc.d made=
    # Packages may not start daemons of their own.
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
    local done=$?
    [[ -z $made ]] || rm -f "$policy"
    return $done
}

# Writes the configuration. Intervals are seconds where sites have minutes.
configure() {
    local host me
    host=$(hostname -s) me=$(id -un)
    # A GPU must be a character device.
    for gpu in $(seq 0 $((gpus - 1))); do ln -sf /dev/null "$dir/gpu$gpu"; done
    cat >"$dir/slurm.conf" <<END
ClusterName=throwaway
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
MailProg=/bin/true
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool.%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=64
SchedulerParameters=bf_interval=2,sched_interval=2
GresTypes=gpu
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=5
KillWait=5
MinJobAge=300
ReturnToService=2
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 101))-$((port + 100 + nodes))] CPUs=$cpus RealMemory=4096 Gres=gpu:$gpus State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefaultTime=60 PriorityTier=10 PreemptMode=OFF
END
    echo "NodeName=n[1-$nodes] Name=gpu File=$dir/gpu[0-$((gpus - 1))] Flags=nvidia_gpu_env" >"$dir/gres.conf"
    printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainDevices=no\n' >"$dir/cgroup.conf"
}

daemon() { # a name, then the command
    local name=$1
    shift
    "$@" </dev/null >>"$dir/log/$name.out" 2>&1 &
    echo "$! $name" >>"$daemons"
}

start() {
    if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
        install || exit 3
    fi
    stop
    # Another cluster may have the port.
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 500)); done
    rm -rf "$dir"
    mkdir -p "$dir"/{log,state,munge}
    chmod 755 "$dir"
    (umask 077 && head -c 128 /dev/urandom >"$dir/munge/key")
    daemon munged munged --force --foreground --socket="$dir/munge.socket" --key-file="$dir/munge/key" \
        --pid-file="$dir/munged.pid" --log-file="$dir/log/munged.log" --seed-file="$dir/munge/seed"
    for _ in $(seq 100); do [[ -S $dir/munge.socket ]] && break || sleep 0.1; done
    configure
    export SLURM_CONF=$dir/slurm.conf
    daemon slurmctld slurmctld -D
    for node in $(seq "$nodes"); do
        mkdir -p "$dir/spool.n$node"
        daemon "n$node" slurmd -D -N "n$node"
    done
    for _ in $(seq 400); do
        up=$(timeout 5 sinfo -h -N -o %t -p main 2>/dev/null | grep -cE '^(idle|mix|alloc)$' || true)
        [[ $up == "$nodes" ]] && return 0
        sleep 0.1
    done
    echo "$up of $nodes nodes came up; see $dir/log" >&2
    exit 1
}

"$action"
