#!/bin/sh
# mkguest.sh [-g] [-f] [-o OUTDIR] [-c CACHEDIR] -- build a tiny Linux guest (kernel + initramfs) for the real tests.
#
# Needs sh, awk, gzip, cpio, flock and apt-get with Debian's package lists (apt-get update). The kernel and busybox
# come from Debian packages. The script installs nothing and does not need root.
#   -g  also put qemu-guest-agent in the image (/usr/bin/qemu-ga and its libraries)
#   -f  build again even if OUTDIR has the result of this version of the script
# Result: OUTDIR/vmlinuz OUTDIR/initrd.img OUTDIR/VERSION. Packages stay in CACHEDIR (OUTDIR/cache), so that later
# builds need no network. If nothing has changed, the script does not build again.
#
# Behaviour of the guest:
#   * prints GUEST-READY on ttyS0 when its devices are up; from then on a shell reads commands from ttyS0, without a
#     prompt or an echo (tests/real/guest.py uses it)
#   * brings hot-added CPUs and (movable) memory online; powers off when its power button is pressed
#   * words on its kernel command line:  qga   start the agent, if its virtio-serial port exists
#                                        nohp  leave hot-added memory and CPUs offline
#     and the kernel's own acpiphp.disable=1: the guest ignores ACPI requests to unplug a PCI device
# NVMe, pciehp and acpiphp are built into this kernel. It has no USB; QEMU unplugs USB devices without the guest.
#
# Boot it (about 3 s under TCG; 96 MB is the least, use 128M or more):
#   qemu-system-x86_64 -accel tcg -cpu max -m 256M -nodefaults -display none -kernel OUTDIR/vmlinuz \
#     -initrd OUTDIR/initrd.img -append "console=ttyS0 quiet" -serial unix:ser.sock,server=on,wait=off
set -eu

agent=0 force=0 out=./guest cache=
while getopts gfo:c: f; do
    case $f in
    g) agent=1 ;;
    f) force=1 ;;
    o) out=$OPTARG ;;
    c) cache=$OPTARG ;;
    *) exit 2 ;;
    esac
done

die() { echo "mkguest: $*" >&2; exit 1; }

for tool in awk gzip cpio flock dpkg-deb apt-get apt-cache sha256sum; do
    command -v "$tool" > /dev/null || die "'$tool' is missing"
done
mkdir -p "$out" || die "cannot make '$out'"
out=$(cd "$out" && pwd)
cache=${cache:-$out/cache}
mkdir -p "$cache" || die "cannot make '$cache'"
cache=$(cd "$cache" && pwd)

# One at a time: the tests and the demo may run at the same time.
exec 9> "$out/.lock"
flock 9

# The result depends only on this script and its options; a newer kernel does not cause a new build.
key=$({ cat "$0"; echo "agent=$agent"; } | sha256sum | cut -d ' ' -f 1)
if [ $force = 0 ] && [ -s "$out/vmlinuz" ] && [ -s "$out/initrd.img" ] && [ "$(cat "$out/KEY" 2> /dev/null)" = "$key" ]
then
    echo "mkguest: '$out' is up to date (kernel $(cat "$out/VERSION"))" >&2
    exit 0
fi
rm -f "$out/KEY"

w=$(mktemp -d)
trap 'rm -rf "$w"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# cached PREFIX: print the newest package file of that name, if any.
cached() {
    newest=
    for f in "$cache/$1"*.deb; do
        [ -e "$f" ] && newest=$f
    done
    [ -n "$newest" ] && echo "$newest"
}

# get PACKAGE: download it to the cache if necessary, and print its path there. A rename puts it into the cache, so
# that an interrupted download never looks like a package.
get() {
    cached "${1}_" && return
    echo "mkguest: downloading $1" >&2
    mkdir -p "$w/get"
    # apt of root would switch to a user that cannot write here, with a warning; do not switch.
    (cd "$w/get" && apt-get -qq -o APT::Sandbox::User=root download "$1" >&2) ||
        die "cannot download '$1' (try apt-get update; is there a network?)"
    mv "$w/get"/*.deb "$cache/"
    cached "${1}_"
}

# unpack FILE DIR
unpack() {
    dpkg-deb -x "$1" "$2" || { rm -f "$1"; die "'$1' is damaged; it is deleted now, try again"; }
}

# The newest cached kernel, otherwise the one that the meta package depends on.
if ! kernel=$(cached 'linux-image-[0-9]'); then
    package=$(apt-cache depends linux-image-cloud-amd64 2> /dev/null |
        awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
    [ -n "$package" ] || die "apt knows no linux-image-cloud-amd64 (try apt-get update)"
    kernel=$(get "$package") || exit 1
fi
busybox=$(get busybox-static) || exit 1
unpack "$kernel" "$w/kernel"
unpack "$busybox" "$w/busybox"
version=$(cd "$w/kernel/lib/modules" && echo *)
bb=$w/busybox/bin/busybox

# Modules: their dependencies are resolved here, so that the guest only has to insmod them in this order.
"$bb" depmod -b "$w/kernel" "$version" || die "depmod failed"
modules="virtio_pci virtio_blk virtio_net virtio_balloon virtio_scsi sd_mod sr_mod sg virtio_mem virtio_console
    virtio-rng nfit nd_pmem button evdev ata_piix ahci e1000 fw_cfg qemu_fw_cfg pvpanic-pci"
awk -v want="$modules" '
    function base(p) { sub(/.*\//, "", p); sub(/\.ko.*/, "", p); gsub(/-/, "_", p); return p }
    function need(m,   n, i, a) {
        if (m in done) return
        done[m] = 1
        n = split(dep[m], a, " ")
        for (i = 1; i <= n; i++) need(base(a[i]))
        print path[m]
    }
    { p = $1; sub(/:$/, "", p); m = base(p); path[m] = p; $1 = ""; dep[m] = $0 }
    END {
        n = split(want, w, /[ \n]+/)
        for (i = 1; i <= n; i++) { m = base(w[i]); if (m in path) need(m) }
    }' "$w/kernel/lib/modules/$version/modules.dep" > "$w/list"

r=$w/root
mkdir -p "$r/bin" "$r/dev" "$r/proc" "$r/sys" "$r/mods" "$r/run" "$r/tmp" "$r/etc" "$r/var/run" "$r/usr/bin"
n=0
while read -r p; do
    case $p in
    /*) ;;
    lib/*) p=$w/kernel/$p ;;
    *) p=$w/kernel/lib/modules/$version/$p ;;
    esac
    n=$((n + 1))
    cp "$p" "$r/mods/$(printf %03d $n)-${p##*/}"
done < "$w/list"
for m in virtio_blk virtio_scsi virtio_balloon virtio_net; do
    [ -n "$(find "$r/mods" -name "*-$m.ko*")" ] || die "module '$m' is not in $kernel"
done
cp "$bb" "$r/bin/busybox"
ln -s busybox "$r/bin/sh"

if [ $agent = 1 ]; then
    # The agent and all its libraries come from packages, not from this machine's /lib.
    for p in qemu-guest-agent libc6 libglib2.0-0 libnuma1 libudev1 liburing2 libpcre2-8-0 libcap2 libgcc-s1; do
        f=$(get "$p") || exit 1
        unpack "$f" "$w/agent"
    done
    libs=$w/agent/lib/x86_64-linux-gnu
    loader=$libs/ld-linux-x86-64.so.2
    mkdir -p "$r/lib64" "$r/lib/x86_64-linux-gnu"
    cp "$w/agent/usr/sbin/qemu-ga" "$r/usr/bin/qemu-ga"
    cp -L "$loader" "$r/lib64/"
    "$loader" --library-path "$libs:$w/agent/usr/lib/x86_64-linux-gnu" --list "$w/agent/usr/sbin/qemu-ga" |
        awk '/=>/ && $1 !~ /^\// { print $1, $3 }' > "$w/libs"
    while read -r name f; do
        case $f in
        "$w"/*) cp -L "$f" "$r/lib/x86_64-linux-gnu/$name" ;;
        *) die "library '$name' is not in the packages ($f)" ;;
        esac
    done < "$w/libs"
fi

cat > "$r/init" << 'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/ TERM=dumb
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts d /dev/pts
echo 1 > /proc/sys/kernel/printk
for m in /mods/*.ko; do insmod $m 2>/dev/null || echo "insmod failed: $m"; done
has() { grep -qw "$1" /proc/cmdline; }
if ! has nohp; then
    echo online_movable > /sys/devices/system/memory/auto_online_blocks
    # CPUs: the kernel makes a hot-added CPU present but leaves it offline (udev would online it)
    ( while :; do for c in /sys/devices/system/cpu/cpu[1-9]*/online; do
        [ -e "$c" ] && [ "$(cat $c)" = 0 ] && echo 1 > $c 2>/dev/null; done; sleep 0.2; done ) &
fi
# ports appear as /dev/vportNpM; the agent wants a stable name (udev would make it)
mkdir -p /dev/virtio-ports
for p in /sys/class/virtio-ports/*; do [ -e $p/name ] && ln -sf ../${p##*/} /dev/virtio-ports/$(cat $p/name); done
if has qga && [ -x /usr/bin/qemu-ga ] && [ -e /dev/virtio-ports/org.qemu.guest_agent.0 ]; then
    ( while :; do qemu-ga -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -l /run/qga.log -t /run; sleep 1; done ) &
fi
# power button -> power off (system_powerdown), as an ordinary guest does. The device is opened before GUEST-READY: an
# event is kept only for those who have it open.
for e in /sys/class/input/event*; do
    [ "$(cat $e/device/name 2>/dev/null)" = "Power Button" ] || continue
    exec 5< /dev/input/${e##*/}
    ( dd of=/dev/null bs=24 count=1 <&5 2>/dev/null && poweroff -f ) &
    exec 5<&-
done
stty -echo -F /dev/ttyS0 2>/dev/null
echo "GUEST-READY"
while :; do sh /dev/ttyS0 2>&1; done
INIT
chmod 755 "$r/init"

cp "$w/kernel/boot/vmlinuz-$version" "$out/vmlinuz.tmp"
(cd "$r" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | gzip -9) > "$out/initrd.img.tmp"
mv "$out/vmlinuz.tmp" "$out/vmlinuz"
mv "$out/initrd.img.tmp" "$out/initrd.img"
echo "$version" > "$out/VERSION"
echo "$key" > "$out/KEY"
echo "mkguest: kernel $version, $n modules, initrd $(wc -c < "$out/initrd.img") bytes in '$out'" >&2
