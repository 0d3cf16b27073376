#!/bin/sh
# mkservers.sh [-o OUTDIR] [-c CACHEDIR] -- unpack the servers that tests/real/test_tools.py puts between itself and
# the mount: sshd and nfs-ganesha, with the libraries that this machine lacks.
#
# The packages are unpacked, not installed: an installed package would start its server, and rpcbind, on every interface
# and again at each boot. Servers that are already installed are used.
#
# Needs apt-get with Debian's package lists; does not need root. Result: OUTDIR/root. Packages stay in CACHEDIR
# (OUTDIR/cache). If nothing has changed, the script does nothing.
set -eu

out=./servers cache=
while getopts o:c: f; do
    case $f in
    o) out=$OPTARG ;;
    c) cache=$OPTARG ;;
    *) exit 2 ;;
    esac
done

die() { echo "mkservers: $*" >&2; exit 1; }

mkdir -p "$out" || die "cannot make '$out'"
out=$(cd "$out" && pwd)
cache=${cache:-$out/cache}
mkdir -p "$cache/partial" || die "cannot make '$cache'"
cache=$(cd "$cache" && pwd)

# One at a time, as for the guest.
exec 9> "$out/.lock"
flock 9

missing=
for package in openssh-server nfs-ganesha nfs-ganesha-vfs; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing="$missing $package"
done
key=$({ cat "$0"; echo "$missing"; } | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$out/KEY" 2> /dev/null)" = "$key" ]; then
    echo "mkservers: '$out' is up to date" >&2
    exit 0
fi
rm -rf "$out/KEY" "$out/root"
mkdir -p "$out/root"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a list of words
    [ -n "$(apt-cache pkgnames nfs-ganesha-vfs)" ] ||
        die "apt knows no package 'nfs-ganesha-vfs' (try apt-get update)"
    # shellcheck disable=SC2086
    apt-get -qq install -y --download-only --no-install-recommends -o Dir::Cache::archives="$cache" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root $missing >&2 ||
        die "cannot download$missing (try apt-get update; is there a network?)"
    # shellcheck disable=SC2086
    for file in $(apt-get -qq install --simulate --no-install-recommends $missing |
        awk '$1 == "Inst" { sub(/^\(/, "", $3); print $2 "=" ($3 ~ /^\[/ ? substr($4, 2) : $3) }'); do
        name=${file%%=*} version=${file#*=}
        set -- "$cache/${name}_$(echo "$version" | sed 's/:/%3a/')"_*.deb
        [ -e "$1" ] || die "no package file of '$name' in '$cache'"
        dpkg-deb -x "$1" "$out/root" || { rm -f "$1"; die "'$1' is damaged; it is deleted now, try again"; }
    done
fi
echo "$key" > "$out/KEY"
