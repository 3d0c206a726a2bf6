#!/usr/bin/env bash
# Makes the local base image of the container test without any image registry: a minimal Debian root with Node 24 and npm.
# usage: base-image.sh IMAGE_NAME   (needs root, debootstrap and buildah; Node comes from node_modules, npm from the machine)
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
image=${1:?image name expected}
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

debootstrap --variant=minbase --include=ca-certificates,libstdc++6,libatomic1 bookworm "$work/root" >"$work/debootstrap.log" ||
  { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
rm -rf "$work/root/var/cache/apt/archives" "$work/root/var/lib/apt/lists"

arch=$(node -p process.arch)
install -D -m 755 "$root/node_modules/node-linux-$arch/bin/node" "$work/root/usr/local/bin/node"
npm_package=$(npm root --global)/npm
mkdir -p "$work/root/usr/local/lib/node_modules"
cp -r "$npm_package" "$work/root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/root/usr/local/bin/npm"

# The image trusts the certificate authorities that this machine trusts.
cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"

tar -C "$work/root" -cf "$work/root.tar" .
printf 'FROM scratch\nADD root.tar /\nENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n' >"$work/Dockerfile"
buildah --storage-driver vfs build --isolation chroot --tag "$image" "$work"
