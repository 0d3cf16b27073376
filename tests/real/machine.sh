# shellcheck shell=bash
# Functions that the scripts in tests/ share: steps with progress, packages, the guest. The caller sets $top, the
# directory of the project.
# shellcheck disable=SC2034,SC2154 # used there, set there

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkgconf libfuse3-dev libjson-c-dev libseccomp-dev"
RUN_PACKAGES="fuse3 qemu-system-x86 qemu-utils python3 cpio mount"
# What real_tools tries the mount with, and through.
TOOL_PACKAGES="sshfs openssh-client openssh-sftp-server bindfs libnfs-utils rsync curl git"

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# step TEXT COMMAND...: print one line with a dot every two seconds; print the output of the command only if it fails.
step() {
    local text=$1 log status=0 ticker begin=$SECONDS
    shift
    log=$(mktemp)
    printf '%s ' "$text"
    # It also ends when this script is killed: an interrupt does not reach background processes.
    (while sleep 2 && kill -0 $$ 2> /dev/null; do printf .; done) &
    ticker=$!
    "$@" > "$log" 2>&1 || status=$?
    kill "$ticker" 2> /dev/null || :
    wait "$ticker" 2> /dev/null || :
    if [ "$status" = 0 ]; then
        echo " done ($((SECONDS - begin)) s)"
    else
        echo " failed ($((SECONDS - begin)) s):"
        cat "$log"
    fi
    rm -f "$log"
    return "$status"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo > /dev/null || die "this needs root or sudo: $*"
        sudo "$@"
    fi
}

# install_packages PACKAGE...: install those that are missing.
install_packages() {
    local package missing=()
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        echo "packages: all installed"
        return
    fi
    echo "packages to install: ${missing[*]}"
    step "package lists:" as_root apt-get -q update
    step "installing:" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends "${missing[@]}"
}

# make_guest OUTDIR: build the guest of the real tests; all build directories share the downloaded packages.
make_guest() {
    local cache=$top/build/guest-packages
    # If no package was missing, apt may have no package lists yet.
    if ! ls "$cache"/linux-image-*.deb > /dev/null 2>&1 && [ -z "$(apt-cache pkgnames linux-image-cloud-amd64)" ]; then
        step "package lists:" as_root apt-get -q update
    fi
    step "guest:" "$top/tests/mkguest.sh" -o "$1" -c "$cache"
}

# make_servers OUTDIR: unpack the servers of real_tools; all build directories share the downloaded packages.
make_servers() {
    if [ -z "$(apt-cache pkgnames nfs-ganesha-vfs)" ]; then
        step "package lists:" as_root apt-get -q update
    fi
    step "servers:" "$top/tests/mkservers.sh" -o "$1" -c "$top/build/servers-packages"
}
