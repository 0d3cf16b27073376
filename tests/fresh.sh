#!/bin/bash
# fresh.sh [--recommends] [--commit REV] [-- ARGUMENT...] -- run tests/demo.sh and tests/run.sh on a bare machine.
#
# The bare machine is a minimal Debian 12, made for this run, with a clone of the commit. So a package that is
# installed on this machine by chance cannot hide that the scripts do not install it.
#
#   --recommends  first install QEMU with the packages that it recommends
#   --commit REV  test this commit instead of HEAD; uncommitted changes are never tested
# The arguments after -- are passed to run.sh. CI is set there, so a test that cannot run has failed.
#
# The system is in a tmpfs (4 GB at most), has its own mount, PID, IPC and UTS namespaces, and ends with this script.
# It shares the network of this machine. ${XDG_CACHE_HOME:-~/.cache}/qmpfs/fresh caches the packages and, for 30 days,
# the system made by debootstrap. The packages come from the Debian mirror of this machine's apt (otherwise from
# deb.debian.org), with apt's proxies, credentials and certificates.
#
# Needs root or sudo. Exit status: that of demo.sh or run.sh; 2 for a usage error; 77 if no bare system can be made,
# or 1 instead if CI is set.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/real/machine.sh
. "$top/tests/real/machine.sh"

suite=bookworm
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qmpfs/fresh
scratch=$cache/scratch root=$scratch/root # mount points of this run
base=$cache/$suite.tar
clone=/usr/src/qmpfs # in the bare system

cannot() {
    echo "${0##*/}: no bare system can be made here: $*" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 77
}

# --- outside: requirements and namespaces ---------------------------------------------------------------------------

usage() {
    echo "usage: ${0##*/} [--recommends] [--commit REV] [-- ARGUMENT...]" >&2
    exit 2
}

# The repository may belong to another user.
trusting_git() {
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' git -C "$top" "$@"
}

outside() {
    local recommends=0 revision=HEAD commit child status=0
    while [ $# -gt 0 ]; do
        case $1 in
        --recommends) recommends=1 ;;
        --commit) [ $# -gt 1 ] || usage; revision=$2; shift ;;
        --) shift; break ;;
        *) usage ;;
        esac
        shift
    done

    echo "== ${0##*/}: Debian $suite, nothing else"
    [ -c /dev/fuse ] || cannot "there is no /dev/fuse"
    [ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -ge 4000000 ] || cannot "less than 4 GB of free memory"
    command -v apt-get > /dev/null || cannot "there is no apt-get to install debootstrap with"
    install_packages debootstrap debian-archive-keyring wget git || cannot "debootstrap cannot be installed"

    unshare --mount --pid --ipc --uts --fork true 2> /dev/null || cannot "new namespaces are not permitted"
    commit=$(trusting_git rev-parse --quiet --verify "$revision^{commit}") || die "no such commit: '$revision'"
    echo "commit: $(trusting_git log -1 --format='%h %s' "$commit")"
    [ -z "$(trusting_git status --porcelain | head -n 1)" ] || echo "NOTE: uncommitted changes are not tested"

    mkdir -p "$scratch" "$cache/archives/partial"
    exec 9> "$cache/lock"
    flock -n 9 || { echo "waiting for another ${0##*/} to end"; flock 9; }

    # In a separate process group: an asynchronous command in the same group ignores SIGINT, and so would all
    # processes of the tests. The group is killed when this script ends.
    set -m
    setpriv --pdeathsig KILL unshare --mount --pid --ipc --uts --fork --kill-child=KILL \
        "$BASH" "$0" --inside "$recommends" "$commit" "$@" < /dev/null 9>&- &
    child=$!
    set +m
    # shellcheck disable=SC2064 # now
    trap "kill -KILL $child 2> /dev/null || :" EXIT
    trap 'echo; exit 130' INT
    trap 'exit 143' TERM HUP
    wait "$child" || status=$?
    exit "$status"
}

# --- in the namespaces: the system ----------------------------------------------------------------------------------

# The Debian mirrors of this machine's apt: "URI RELEASE" per line, main only.
list_sources() {
    local codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt's variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v host="$codename" -v want="$suite" '
            $3 == "main" && host != "" && ($2 == host || $2 == host "-updates" || $2 == host "-security") {
                print $1, want substr($2, length(host) + 1)
            }' | sort -u > "$scratch/sources"
    grep -q " $suite\$" "$scratch/sources" || cat > "$scratch/sources" << SOURCES
http://deb.debian.org/debian $suite
http://deb.debian.org/debian $suite-updates
http://deb.debian.org/debian-security $suite-security
SOURCES
    apt-config dump | grep -E '^Acquire::(https?::|Retries|ForceIPv|Check-|Allow)' > "$scratch/access" || :
}

# debootstrap downloads with wget, which needs apt's settings.
run_debootstrap() {
    local http='' https=''
    eval "$(apt-config shell http Acquire::http::Proxy https Acquire::https::Proxy)"
    cat /etc/apt/auth.conf /etc/apt/auth.conf.d/*.conf 2> /dev/null |
        sed -E 's,(machine[[:space:]]+)([a-z]+://)?([^/[:space:]]+)[^[:space:]]*,\1\3,' > "$scratch/.netrc"
    env HOME="$scratch" LC_ALL=C ${http:+"http_proxy=$http"} ${https:+"https_proxy=$https"} \
        debootstrap --variant=minbase "$suite" "$root" "$1"
}

# The archive has no package lists, packages or host names of this machine.
make_base() {
    run_debootstrap "$1" &&
        rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb \
            "$root"/etc/apt/sources.list "$root"/etc/resolv.conf "$root"/etc/hostname &&
        tar -C "$root" --one-file-system -cf "$base.tmp" . &&
        mv "$base.tmp" "$base"
}

unpack_base() {
    tar -C "$root" -xf "$base"
}

# copy PATH: copy the file to the same path in the system.
copy() {
    [ ! -e "$1" ] || { mkdir -p "$root${1%/*}" && cp -aL "$1" "$root$1"; }
}

# The setup that debootstrap leaves to the installer, the first boot or a container runtime.
configure_system() {
    printf '127.0.0.1 localhost\n::1 localhost\n' > "$root/etc/hosts"
    ln -sf ../proc/self/mounts "$root/etc/mtab"
    copy /etc/resolv.conf
    # The network is that of this machine: no package may start a server.
    printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

configure_apt() {
    local name conf=$root/etc/apt/apt.conf.d/90access certificates=/etc/ssl/certs/ca-certificates.crt
    sed 's/^/deb /; s/$/ main/' "$scratch/sources" > "$root/etc/apt/sources.list"
    cp "$scratch/access" "$conf"
    # Files that the settings name, and the certificates of authorities.
    for name in $(grep -oE '"/[^"]+"' "$conf" | tr -d '"') /etc/apt/auth.conf /etc/apt/auth.conf.d/*.conf; do
        copy "$name"
    done
    if grep -q ^https: "$scratch/sources" && ! grep -qi '^Acquire::https::CaInfo ' "$conf"; then
        cp -L "$certificates" "$root/etc/apt/"
        echo "Acquire::https::CaInfo \"/etc/apt/${certificates##*/}\";" >> "$conf"
    fi
    # Names of mirrors and proxies in this machine's /etc/hosts.
    grep -ohE '//[^/" ]+' "$scratch/sources" "$conf" | sed -E 's,^//(.*@)?,,; s/:[0-9]+$//' > "$scratch/names"
    grep -v '^#' /etc/hosts | grep -wFf "$scratch/names" >> "$root/etc/hosts" || :
}

# The file systems of the kernel.
mount_all() {
    local name
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
    mount -t tmpfs -o nosuid,mode=755 none "$root/dev"
    for name in null zero full random urandom tty fuse; do
        : > "$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 none "$root/dev/pts"
    mount -t tmpfs -o nosuid,nodev,mode=1777 none "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for name in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${name%:*}" "$root/dev/${name#*:}"; done
    mount -t tmpfs -o nosuid,nodev,mode=755 none "$root/run"
    mount -t tmpfs -o nosuid,nodev,mode=1777 none "$root/tmp"
    mkdir "$root/run/lock"
    mount --bind "$cache/archives" "$root/var/cache/apt/archives"
}

clone_commit() {
    printf '[safe]\n\tdirectory = *\n' > "$scratch/gitconfig"
    export GIT_CONFIG_GLOBAL=$scratch/gitconfig
    git clone -q --no-hardlinks --no-checkout "$top" "$root$clone"
    git -C "$root$clone" checkout -q --detach "$1"
}

inside() {
    local recommends=$1 commit=$2 mirror
    shift 2
    mount -t tmpfs -o mode=700 none "$scratch" || cannot "no tmpfs can be mounted"
    export TMPDIR=$scratch
    mkdir "$root"
    mount -t tmpfs -o size=4G,mode=755 none "$root"
    list_sources
    mirror=$(awk -v want="$suite" '$2 == want { print $1; exit }' "$scratch/sources")
    echo "mirror: $mirror"
    find "$base" -mtime +30 -delete 2> /dev/null || :
    if [ -e "$base" ]; then
        step "the system, from $base:" unpack_base || { rm "$base"; cannot "'$base' is damaged; it is deleted now"; }
    else
        step "the system, by debootstrap:" make_base "$mirror" || cannot "debootstrap failed with mirror '$mirror'"
    fi
    configure_system
    configure_apt
    mount_all
    clone_commit "$commit"

    hostname bare
    cd "$root"
    # Not chroot: the kernel refuses some operations in a chroot, such as user namespaces.
    pivot_root . mnt || cannot "pivot_root failed"
    cd /
    hash -r
    umount -l /mnt
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=1 \
        ${TERM:+"TERM=$TERM"} ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        ${no_proxy:+"no_proxy=$no_proxy"} bash -c "set -euo pipefail; $(declare -f bare); bare \"\$@\"" \
        fresh.sh "$clone" "$recommends" "$SECONDS" "$@"
}

# --- in the system --------------------------------------------------------------------------------------------------

bare() {
    local clone=$1 recommends=$2
    SECONDS=$3
    shift 3
    cd "$clone"
    if [ "$recommends" = 1 ]; then
        # shellcheck source=tests/real/machine.sh
        . tests/real/machine.sh
        step "package lists:" apt-get -q update
        # shellcheck disable=SC2046 # a list of words
        step "QEMU with all that it recommends:" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
            --install-recommends $(tr ' ' '\n' <<< "$RUN_PACKAGES" | grep ^qemu)
    fi
    tests/demo.sh
    # apt uses these packages next time, but does not store them here by itself.
    cp build/guest-packages/*.deb /var/cache/apt/archives/
    tests/run.sh "$@"
    echo "== ${0##*/}: all passed in $((SECONDS / 60)) min $((SECONDS % 60)) s, $(du -shx / | cut -f 1) used"
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
elif [ "$(id -u)" = 0 ]; then
    outside "$@"
else
    command -v sudo > /dev/null || cannot "this needs root or sudo"
    exec sudo env ${CI:+"CI=$CI"} ${XDG_CACHE_HOME:+"XDG_CACHE_HOME=$XDG_CACHE_HOME"} \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} "$BASH" "$0" "$@"
fi
