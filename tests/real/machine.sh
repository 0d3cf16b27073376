# shellcheck shell=bash
# What tests/run.sh and tests/demo.sh share: steps that say what they do, packages, the build, the guest.
# The caller has set $top, the project's directory.
# shellcheck disable=SC2034,SC2154 # used there, set there

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkgconf libfuse3-dev libjson-c-dev libseccomp-dev"
RUN_PACKAGES="fuse3 qemu-system-x86 qemu-utils python3 cpio mount"

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# step TEXT COMMAND...: one line for what is done, with a dot every two seconds; the command's output only if it fails.
step() {
    local text=$1 log status=0 ticker begin=$SECONDS
    shift
    log=$(mktemp)
    printf '%s ' "$text"
    # It ends with this script, however that ends: an interrupt spares what runs in the background.
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

# install_packages PACKAGE...: those that are missing, if any are.
install_packages() {
    local package missing=()
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        echo "packages: all there"
        return
    fi
    echo "packages to install: ${missing[*]}"
    step "package lists:" as_root apt-get -q update
    step "installing:" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends "${missing[@]}"
}

# make_guest OUTDIR: the guest of the real tests; its packages are downloaded once for all build directories.
make_guest() {
    local cache=$top/build/guest-packages
    # Where all packages were there already, apt may never have heard of any.
    if ! ls "$cache"/linux-image-*.deb > /dev/null 2>&1 && [ -z "$(apt-cache pkgnames linux-image-cloud-amd64)" ]; then
        step "package lists:" as_root apt-get -q update
    fi
    step "guest:" "$top/tests/mkguest.sh" -o "$1" -c "$cache"
}
