#!/usr/bin/env bash
# The second half of image-test.sh, inside the tool root. First `build` with the machine's network, then `run` in a
# network namespace of its own, so that no port, bridge or rule of the machine is touched.
set -euo pipefail

# Called by the name the Dockerfile asks for; npm packs of Node come later than images, so the patch level may be older.
BASE=docker.io/library/node:$NODE_VERSION-$BASE_RELEASE-slim
IMAGE=localhost/frechet:under-test
PODS=$CACHE/pods
OWN_LAYERS_MB_MAX=160
DRAIN_SECONDS=25

step() { printf '\n[%4d s] %s\n' "$SECONDS" "$*"; }
fail() {
  printf '\nFAILED: %s\n' "$*" >&2
  exit 1
}

# ---- base images, from what image-test.sh has fetched

# A stand-in is made again when its ingredients are: their names, sizes and times are its label.
fingerprint() { stat --format '%n %s %Y' "$@" | sha256sum | cut -c1-16; }
is_made_of() { [ "$(podman image inspect "$1" --format '{{index .Config.Labels "made-of"}}' 2>/dev/null)" = "$2" ]; }

stand_in_for_node() {
  local made_of
  made_of=$(fingerprint "$CACHE/base-$BASE_RELEASE.tar" "$CACHE/node-$NODE_MAJOR.tgz" "$CACHE/npm.tgz")
  is_made_of "$BASE" "$made_of" && return
  step "a stand-in for $BASE"
  local files container
  files=$(mktemp -d "$CACHE/node.XXXX")
  chmod 755 "$files"
  mkdir -p "$files/usr/local/lib/node_modules/npm"
  tar xzf "$CACHE/node-$NODE_MAJOR.tgz" -C "$files/usr/local" --strip-components=1 --no-same-owner
  tar xzf "$CACHE/npm.tgz" -C "$files/usr/local/lib/node_modules/npm" --strip-components=1 --no-same-owner
  rm -rf "$files/usr/local/package.json" "$files/usr/local/share" "$files/usr/local/include"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$files/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$files/usr/local/bin/npx"
  container=$(buildah from scratch)
  buildah add -q "$container" "$CACHE/base-$BASE_RELEASE.tar" / >/dev/null
  buildah run --isolation chroot "$container" -- sh -c \
    'groupadd --gid 1000 node && useradd --uid 1000 --gid node --create-home node'
  buildah add -q "$container" "$files" / >/dev/null
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd node \
    --label "made-of=$made_of" "$container"
  buildah commit -q --rm --format docker "$container" "$BASE" >/dev/null
  rm -rf "$files"
}

stand_in_for_redis() {
  local name=$1 container made_of
  made_of=$(fingerprint "$CACHE/redis-$BASE_RELEASE.tar")
  is_made_of "$name" "$made_of" && return
  step "a stand-in for $name"
  container=$(buildah from scratch)
  buildah add -q "$container" "$CACHE/redis-$BASE_RELEASE.tar" / >/dev/null
  buildah run --isolation chroot "$container" -- install --directory --owner=999 --group=999 /data
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd redis-server \
    --label "made-of=$made_of" "$container"
  buildah commit -q --rm --format docker "$container" "$name" >/dev/null
}

image_in_pods() { sed -n "s/^ *\(- \)\?image: *//p" "$PODS/$1.yaml" | head -1; }

build_image() {
  step 'build'
  buildah build --pull=never --format docker --layers --network host --isolation chroot \
    --volume "$CACHE/inject:/run/build-ca:ro" --volume "$CACHE/inject/npmrc:/usr/local/etc/npmrc:ro" \
    --file /checkout/deploy/docker/Dockerfile --ignorefile /checkout/.dockerignore --tag "$IMAGE" /checkout \
    >"$CACHE/build.log" 2>&1 || { tail -40 "$CACHE/build.log"; fail 'the image does not build'; }
  podman tag "$IMAGE" "$(image_in_pods frechet-gateway)"
}

# ---- what is in it

check_content() {
  step 'content'
  local size base own user
  size=$(podman image inspect "$IMAGE" --format '{{.Size}}')
  base=$(podman image inspect "$BASE" --format '{{.Size}}')
  own=$(((size - base) / 1000000))
  echo "own layers: $own MB, Node $(podman run --rm --network none --no-healthcheck "$IMAGE" --version)"
  [ "$own" -le "$OWN_LAYERS_MB_MAX" ] || fail "own layers are $own MB, more than $OWN_LAYERS_MB_MAX"
  user=$(podman image inspect "$IMAGE" --format '{{.Config.User}}')
  [ "$user" = 1000:1000 ] || fail "the user is '$user'"
  podman image inspect "$IMAGE" --format '{{json .Config.Entrypoint}}' | grep -qx '\["node"\]' || fail 'the entry point'
  podman image inspect "$IMAGE" --format '{{json .Config.Healthcheck}}' | grep -q Test || fail 'no health check'
  podman image inspect "$IMAGE" --format '{{json .Config.Labels}}' | grep -q opencontainers.image.version ||
    fail 'no labels'
  podman run --rm --network none --no-healthcheck --entrypoint sh "$IMAGE" -euc '
    found=$(ls -d /app/node_modules/typescript /app/node_modules/@biomejs /app/dist/test /app/dist/deploy /root/.npm \
      /run/build-ca/ca.crt 2>/dev/null || true)
    sources=$(find /app -path /app/node_modules -prune -o -name "*.ts" -print)
    lists=$(find /var/lib/apt/lists -type f 2>/dev/null)
    writable=$(find /app -user 1000 -o -perm -o=w ! -type l | head -3)
    npmrc=$(find /usr/local/etc -name npmrc -size +0 2>/dev/null || true)
    [ -z "$found$sources$lists$writable$npmrc" ] || { echo "$found $sources $lists $writable $npmrc"; exit 1; }
    test -f /app/dist/api/main.js -a -f /app/dist/workers/main.js -a -d /app/node_modules/koffi
    ls /usr/lib/*/blis-serial/libblis.so.4' || fail 'the image holds what it should not, or lacks something'
}

# ---- both roles, confined as in a cluster

CONFINED=(--pull never --network host --health-interval=disable --read-only --read-only-tmpfs=false
  --tmpfs /tmp:rw,size=64m,mode=1777 --cap-drop all --security-opt no-new-privileges --pids-limit 128)

start_roles() {
  step 'both roles, and Redis: no root, nothing writable, no capabilities, limited memory'
  podman volume create store >/dev/null
  podman run -d --name redis --pull never --network host --user 999:999 "$(image_in_pods frechet-redis)" \
    redis-server --save '' --dir /data --maxmemory-policy noeviction >/dev/null
  podman run -d --name gateway "${CONFINED[@]}" --memory 384m --memory-swap 384m --cpus 1 \
    --volume store:/var/lib/frechet -e FRECHET_REDIS_URL=redis://127.0.0.1:6379 -e FRECHET_ALLOW_ANONYMOUS=true \
    "$IMAGE" >/dev/null
  podman run -d --name worker "${CONFINED[@]}" --memory 1g --memory-swap 1g --cpus 2 \
    --volume store:/var/lib/frechet -e FRECHET_REDIS_URL=redis://127.0.0.1:6379 -e FRECHET_ADMIN_PORT=8091 \
    -e FRECHET_THREADS=2 -e FRECHET_MEMORY_BYTES=512MiB -e FRECHET_DRAIN_SECONDS=$DRAIN_SECONDS \
    "$IMAGE" dist/workers/main.js >/dev/null
  await_ready gateway http://127.0.0.1:8090/readyz
  await_ready worker http://127.0.0.1:8091/readyz
}

# Asks from inside the container: there is no other client here.
await_ready() {
  local container=$1 url=$2
  for _ in $(seq 150); do
    podman exec "$container" node -e \
      'fetch(process.argv[1], { signal: AbortSignal.timeout(3000) }).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))' \
      "$url" 2>/dev/null && return
    [ "$(podman inspect "$container" --format '{{.State.Running}}')" = true ] || break
    sleep 0.2
  done
  podman logs "$container" 2>&1 | tail -20
  fail "$container is not ready"
}

check_confinement() {
  local role
  for role in gateway worker; do
    podman exec "$role" sh -euc '
      test "$(id -u)" = 1000
      ! touch /file 2>/dev/null; ! touch /app/file 2>/dev/null; ! touch /home/node/file 2>/dev/null; touch /tmp/file' ||
      fail "$role can write where it should not"
    podman exec "$role" grep -q '^CapEff:.0000000000000000' /proc/1/status || fail "$role has capabilities"
    podman exec "$role" grep -q '^NoNewPrivs:.1' /proc/1/status || fail "$role may gain privileges"
    podman healthcheck run "$role" >/dev/null || fail "the health check of $role fails"
  done
}

compute() {
  local container=$1 worker=$2 url=$3
  podman exec -i "$container" node --input-type=module - "$url" native \
    </checkout/dist/test/deploy/docker/image/compute.js || {
    podman logs "$worker" 2>&1 | tail -20
    fail 'the derivative was not computed'
  }
}

stop_role() {
  local role=$1 seconds_max=$2 started elapsed code
  started=$(date +%s%N)
  podman stop -t "$seconds_max" "$role" >/dev/null
  elapsed=$((($(date +%s%N) - started) / 1000000))
  code=$(podman inspect "$role" --format '{{.State.ExitCode}}')
  echo "$role stopped in $elapsed ms with exit code $code"
  [ "$code" = 0 ] || { podman logs "$role" 2>&1 | tail -5; fail "$role ended with $code (137: killed)"; }
}

refuses_strangers() {
  step 'a gateway without keys does not listen beyond the loopback'
  if podman run --rm "${CONFINED[@]}" -e FRECHET_REDIS_URL=redis://127.0.0.1:6379 -e FRECHET_PORT=8070 \
    -e FRECHET_ADMIN_PORT=8071 "$IMAGE" >/dev/null 2>"$CACHE/refusal"; then fail 'it started'; fi
  grep -q FRECHET_ALLOW_ANONYMOUS "$CACHE/refusal" || { cat "$CACHE/refusal"; fail 'it does not say why'; }
}

# As in production: the keys' digests come from a mounted folder.
asks_for_keys() {
  step 'a gateway with keys listens, and asks for them'
  local key=a-key-for-this-test digest
  digest=$(printf %s "$key" | sha256sum | cut -d' ' -f1)
  mkdir -p "$CACHE/keys"
  printf '[{ "tenant": "acme", "sha256": "%s" }]' "$digest" >"$CACHE/keys/keys.json"
  podman run -d --name keyed "${CONFINED[@]}" --memory 384m --volume store:/var/lib/frechet \
    --volume "$CACHE/keys:/etc/frechet/keys:ro" -e FRECHET_API_KEYS_FILE=/etc/frechet/keys/keys.json \
    -e FRECHET_REDIS_URL=redis://127.0.0.1:6379 -e FRECHET_PORT=8070 -e FRECHET_ADMIN_PORT=8071 "$IMAGE" >/dev/null
  await_ready keyed http://127.0.0.1:8071/readyz
  podman exec keyed node -e '
    const ask = headers => fetch("http://127.0.0.1:8070/v1/jobs", { headers }).then(answer => answer.status);
    Promise.all([ask({}), ask({ Authorization: `Bearer ${process.argv[1]}` })]).then(([without, withKey]) => {
      console.log(`without a key ${without}, with one ${withKey}`);
      process.exit(without === 401 && withKey === 200 ? 0 : 1);
    });' "$key" || fail 'keys do not decide'
  podman rm -f keyed >/dev/null
}

# ---- the local overlay

play_pods() {
  step 'the local overlay, played'
  podman network create pods >/dev/null
  podman kube play "$PODS/shared.yaml" >"$CACHE/play.log" 2>&1 || { cat "$CACHE/play.log"; fail 'shared objects'; }
  local role
  for role in redis gateway worker; do
    podman kube play --network "pods:alias=frechet-$role" "$PODS/frechet-$role.yaml" >"$CACHE/play.log" 2>&1 ||
      { cat "$CACHE/play.log"; fail "frechet-$role is not played"; }
  done
  await_ready frechet-gateway-pod-gateway http://127.0.0.1:8090/readyz
  await_ready frechet-worker-pod-worker http://127.0.0.1:8090/readyz
  podman exec frechet-worker-pod-worker node -p \
    '`threads ${process.env.FRECHET_THREADS}, memory ${process.env.FRECHET_MEMORY_BYTES} from the Downward API`'
  compute frechet-worker-pod-worker frechet-worker-pod-worker http://frechet-gateway:8080
}

# Before, as well as after: the storage outlives a run that was killed, and what it left would be in the way.
clean_up() {
  podman pod rm -fa -t 2
  podman rm -fa -t 2
  podman volume rm -fa
  podman secret rm -a
  podman network rm -f pods
} >/dev/null 2>&1

trap clean_up EXIT
if [ "${1:-build}" = build ]; then
  stand_in_for_node
  stand_in_for_redis "$(image_in_pods frechet-redis)"
  build_image
  exec unshare --net bash "$0" run
fi
ip link set lo up
clean_up || true
check_content
start_roles
check_confinement
compute gateway worker http://127.0.0.1:8080
refuses_strangers
asks_for_keys
step 'SIGTERM'
stop_role worker $DRAIN_SECONDS
stop_role gateway 12
podman rm -f redis worker gateway >/dev/null
podman volume rm -f store >/dev/null
play_pods
step 'passed'
