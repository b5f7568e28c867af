#!/bin/sh
# Becomes the first process of the fresh machine: run in new mount, pid, net, uts and ipc
# namespaces, with the machine's root directory as $1, the command to run as the rest.
set -eu
root=$1
shift

mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=0755 run "$root/run"
hostname fresh
ip link set lo up

mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old

# Not `exec`: the first process has to collect the orphans, and a shell that waits does.
"$@"
exit $?
