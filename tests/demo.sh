#!/bin/bash
# demo.sh [--keep] -- demonstrate qmpfs: start a VM, mount it, read some files, unplug a disk.
#
#   --keep  leave the VM and the mount running at the end, and print how to use and to end them
# Needs Debian 12 (or similar), and root or sudo if packages are missing. Ends within three minutes.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

keep=0
case "${1:-}" in
'') ;;
--keep) keep=1 ;;
*) die "usage: demo.sh [--keep]" ;;
esac

build=$top/build-demo
dir=$(mktemp -d "${TMPDIR:-/tmp}/qmpfs-demo-XXXXXX")

clean_up() {
    cd /
    if grep -q " $dir/mnt " /proc/self/mounts; then
        fusermount3 -u "$dir/mnt" || fusermount3 -u -z "$dir/mnt" || :
    fi
    if [ -s "$dir/vm.pid" ]; then
        kill "$(cat "$dir/vm.pid")" 2> /dev/null || :
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'echo; exit 130' INT
trap 'exit 143' TERM

# show COMMAND: print and run it as in a user's shell.
show() {
    printf '\n$ %s\n' "$1"
    eval "$1"
}

# guest COMMAND: the same inside the VM, on its serial console.
guest() {
    printf '\nguest# %s\n' "$1"
    python3 "$top/tests/real/guest.py" serial.sock "$1"
}

boot() {
    local end=$((SECONDS + 60))
    until grep -q GUEST-READY console.log 2> /dev/null; do
        [ -e "/proc/$(cat vm.pid)" ] || { echo "QEMU has ended"; return 1; }
        [ $SECONDS -lt $end ] || { echo "not ready after 60 s:"; cat console.log; return 1; }
        sleep 0.1
    done
}

echo "== the demonstration of qmpfs"
# shellcheck disable=SC2086 # lists of words
install_packages $BUILD_PACKAGES $RUN_PACKAGES
[ -w /dev/fuse ] || die "no access to /dev/fuse"
step "configure:" cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DQMPFS_TESTS=OFF
step "build:" cmake --build "$build"
make_guest "$build/guest"
export PATH="$build:$PATH"

cd "$dir"
mkdir mnt
qemu-img create -q -f qcow2 nvme.qcow2 40G
qemu-img create -q -f qcow2 root.qcow2 1G
echo "starting a VM with an nvme disk (NVME1) and a virtio disk; files in $dir"
qemu-system-x86_64 -accel tcg -cpu max -m 256M -nodefaults -display none -daemonize -pidfile vm.pid \
    -kernel "$build/guest/vmlinuz" -initrd "$build/guest/initrd.img" -append "console=ttyS0 quiet" \
    -chardev "socket,id=serial,path=$dir/serial.sock,server=on,wait=off,logfile=$dir/console.log" -serial chardev:serial \
    -qmp unix:vm.qmp,server=on,wait=off -name demo \
    -drive file=nvme.qcow2,if=none,id=NVME1 -device nvme,drive=NVME1,serial=abc -drive file=root.qcow2,if=virtio
step "the guest boots:" boot

show 'qmpfs vm.qmp mnt'
show 'ls mnt'
show 'cat mnt/state mnt/name mnt/connection'
show 'ls mnt/block'
show 'cat mnt/block/NVME1/inserted/image/virtual-size'
show 'cat mnt/block/NVME1/device/driver mnt/block/NVME1/device/serial'
guest 'ls /sys/block'
show 'echo 1 > mnt/block/NVME1/remove'
show 'ls mnt/block'
guest 'ls /sys/block'
show 'tail -n 1 mnt/events'

# Check the result as well.
[ "$(ls mnt/block)" = virtio0 ] || die "the disk is still there"

if [ $keep = 1 ]; then
    trap - EXIT
    cat << END

The VM and the mount stay. Look around:
    cd $dir/mnt; ls; cat ctl; cat block/virtio0/status; echo stop > ctl; cat state
and end it:
    fusermount3 -u $dir/mnt; kill $(cat vm.pid); rm -r $dir
END
else
    printf '\nunmounting, ending the VM\n'
fi
