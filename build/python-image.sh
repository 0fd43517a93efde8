#!/usr/bin/env bash
# Builds a Python image out of Debian packages, for machines that reach a package mirror but no image registry.
# Usage: build/python-image.sh <image>      The engine is DOCKER_HOST's; apt-get and dpkg-deb are needed.
set -euo pipefail
image=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$work/debs" "$root"

# Python's own dependencies, whatever this release calls them, without what only their installation needs.
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
  python3-minimal libpython3-stdlib | grep '^[a-z0-9]' | grep -vxE 'perl.*|libperl.*|dpkg|tar|debconf|install-info|mailcap|mime-support|gcc-.*-base' | sort -u)
(cd "$work/debs" && apt-get download -qq -o APT::Sandbox::User=root base-files busybox-static $packages >/dev/null)

# The base first: where /bin is a link, it has to be one before anything is put there.
for package in "$work"/debs/base-files_*.deb "$work"/debs/*.deb; do
  dpkg-deb -x "$package" "$root"
done
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale"
mkdir -p "$root"/{proc,sys,dev,tmp,run,root}
chmod 1777 "$root/tmp"
busybox=bin/busybox
[ -e "$root/$busybox" ] || busybox=usr/bin/busybox
for applet in $("$root/$busybox" --list); do
  [ -e "$root/usr/bin/$applet" ] || [ -e "$root/bin/$applet" ] || ln -s "/$busybox" "$root/usr/bin/$applet"
done
[ -e "$root/bin/sh" ] || ln -s "/$busybox" "$root/bin/sh"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"

# Packages compile their modules when they are installed, which these were not; without it each container would do so when it starts.
if [ "$(id -u)" = 0 ]; then
  chroot "$root" /usr/bin/python3 -I -c 'import ast, asyncio, concurrent.futures, ctypes, dataclasses, hashlib, inspect, json, multiprocessing.pool, pickle, resource, shutil, sqlite3, subprocess, tempfile, traceback'
fi
tar -C "$root" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - "$image" >/dev/null
