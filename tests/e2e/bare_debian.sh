#!/usr/bin/env bash
# Does a bare Debian 12 with nothing but its base system and git get through `./dev demo` and `./dev test`? Makes one
# with debootstrap, clones this repository's HEAD into it and runs the given ./dev commands. By hand, as root; takes
# half an hour, 3 GB and the package mirror that this machine's own apt uses.
#
#     tests/e2e/bare_debian.sh FOLDER [COMMAND...]        COMMAND: a ./dev command; default: demo test
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "bare_debian: needs root, for chroot" >&2; exit 2; }
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
root=$(mkdir -p "$1" && cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- demo test

# The first mirror in either form of apt's sources.
mirror=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }
              $1 == "URIs:" { print $2; exit }' $(find /etc/apt -name '*.sources' -o -name '*.list'))
[ -n "$mirror" ] || { echo "bare_debian: found no mirror in /etc/apt" >&2; exit 2; }

if [ ! -e "$root/usr/bin/apt-get" ]; then
  debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror"
fi
# How this machine reaches its mirror and Python's index (proxy, certificates) holds inside as well.
cp -aL /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

cleanup() {
  for place in dev/pts dev/shm proc sys; do umount "$root/$place" 2>/dev/null || true; done
}
trap cleanup EXIT
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sys "$root/sys"
mount -t tmpfs tmpfs "$root/dev/shm"
mkdir -p "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
ln -sf pts/ptmx "$root/dev/ptmx"

reach=()
while read -r line; do reach+=("$line"); done < <(env | grep -iE '^(https?_proxy|no_proxy|PIP_(CERT|INDEX_URL|PROXY))=')

rm -rf "$root/attune"
git clone --quiet --no-hardlinks "$repository" "$root/attune"
for command in "$@"; do
  printf '\n##### ./dev %s\n' "$command"
  begun=$(date +%s)
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 CI=true \
    "${reach[@]}" bash -c "cd /attune && ./dev $command" </dev/null
  printf '##### ./dev %s: %s seconds\n' "$command" $(($(date +%s) - begun))
done
