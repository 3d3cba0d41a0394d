# The container part of .ci/run, which reads this file: an engine, the base images, the action's image, the tests on it.
# It expects $scratch, a temporary folder. Names that .ci/run uses are engine_*, image_*, packages, container_tests.
# shellcheck shell=bash
# shellcheck disable=SC2154 # scratch is set by .ci/run

image=localhost/keyvault-passwords:ci
readonly image runner_image=localhost/runner:ci
export DOCKER_HOST=unix://$scratch/engine.sock
export CONTAINERS_CONF=$scratch/containers.conf CONTAINERS_STORAGE_CONF=$scratch/storage.conf

# packages NAME...: installs the Debian packages that are not there. It waits for another installation that is under way,
# and tries again where a mirror hiccups.
packages() {
  local missing=() name try
  for name; do dpkg -s "$name" >/dev/null 2>&1 || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  for try in 1 2 3; do
    echo "installing ${missing[*]} (try $try)"
    apt_install "${missing[@]}" >"$scratch/apt.log" 2>&1 && return 0
    sleep 5
  done
  tail -n 20 "$scratch/apt.log"
  return 1
}

apt_install() {
  local wait=(-o DPkg::Lock::Timeout=120)
  apt-get "${wait[@]}" update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get "${wait[@]}" install -y -qq --no-install-recommends "$@"
}

# native, foreign: the architecture of this machine and the other one that the image is made for, in Go's words.
native() { go env GOHOSTARCH; }
foreign() { [ "$(native)" = amd64 ] && echo arm64 || echo amd64; }

# engine_install: buildah, podman and runc, and settings under which they work without systemd, with either version of
# cgroups, and without the right to raise a limit. Storage, state and locks are private.
# The monitor of what ran inside a container leaves after 15 s; by default it would stay for 5 min.
engine_install() {
  local missing=() program
  # By program: where Docker's own packages are installed, Debian's runc would push them out.
  for program in buildah podman runc skopeo conmon; do command -v "$program" >/dev/null || missing+=("$program"); done
  packages jq busybox-static qemu-user-static iptables netavark "${missing[@]}"
  cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$scratch/libpod"
exit_command_delay = 15
[network]
network_backend = "netavark"
CONF
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/storage"\nrunroot = "%s/run"\n' "$scratch" "$scratch" \
    >"$CONTAINERS_STORAGE_CONF"
  podman info >/dev/null 2>&1 || sed -i 's/"overlay"/"vfs"/' "$CONTAINERS_STORAGE_CONF" # e.g. a folder that is an overlay itself
  podman --version && buildah --version && runc --version | head -n 1
}

# bases: the base images that the Dockerfile names, pins included.
bases() { sed -nE 's/^FROM +([^ ]+).*/\1/p' Dockerfile; }

# engine_bases: gets the pinned bases from their registry, and makes stand-ins for where that cannot be had: no
# registry within reach, and the other architecture, whose programs could not run here.
engine_bases() {
  local base
  stand_ins
  for base in $(bases); do
    if ! timeout 120 podman pull -q "docker.io/library/$base" 2>"$scratch/pull.log"; then
      tail -n 1 "$scratch/pull.log"
      echo "the registry is out of reach: stand-ins take the bases' place. What follows proves the Dockerfile's recipe, not those images."
      return 0
    fi
  done
  touch "$scratch/real-bases"
}

# stand_ins: base images made of this machine's busybox; `golang` gets the machine's own Go and modules as mounts when it builds.
# A third one is what act starts as the runner: busybox, bash and jq.
stand_ins() {
  local architecture program library folder=$scratch/rootfs
  busybox_tree "$folder"
  for architecture in "$(native)" "$(foreign)"; do commit_tree "$folder" "localhost/stand-in/busybox:$architecture" "$architecture"; done
  mkdir -p "$folder/etc/ssl/certs"
  cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
  for architecture in "$(native)" "$(foreign)"; do commit_tree "$folder" "localhost/stand-in/golang:$architecture" "$architecture"; done
  for program in bash jq; do
    ldd "$(command -v "$program")" | grep -oE '/[^ ]+' | while read -r library; do cp --parents -L "$library" "$folder"; done
    cp "$(command -v "$program")" "$folder/bin/$program"
  done
  commit_tree "$folder" "$runner_image" "$(native)"
}

busybox_tree() {
  local applet
  mkdir -p "$1/bin" "$1/etc" "$1/root"
  mkdir -m 1777 "$1/tmp"
  cp "$(command -v busybox)" "$1/bin/busybox"
  for applet in $(busybox --list); do [ -e "$1/bin/$applet" ] || ln -s busybox "$1/bin/$applet"; done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
  echo 'root:x:0:' >"$1/etc/group"
}

# commit_tree FOLDER NAME ARCHITECTURE
commit_tree() {
  local container
  container=$(buildah from scratch)
  buildah copy -q "$container" "$1" / >/dev/null
  buildah config --arch "$3" --env GOPATH=/go --env GOTOOLCHAIN=local --cmd '["sh"]' \
    --env PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit -q "$container" "$2" >/dev/null
  buildah rm "$container" >/dev/null
  echo "made $2 ($3)"
}

# image_build NAME ARCHITECTURE [OPTION...]: the Dockerfile, unchanged. All times in the image are 1970, so that its
# digest depends on the source and the bases alone.
image_build() {
  local name=$1 architecture=$2 base stand_in=() short
  shift 2
  if [ ! -e "$scratch/real-bases" ] || [ "$architecture" != "$(native)" ]; then
    stand_in=(--pull-never --volume "$(go env GOROOT):/usr/local/go:ro" --volume "$(go env GOMODCACHE):/go/pkg/mod")
    for base in $(bases); do
      short=${base%%[:@]*}
      stand_in+=(--build-context "$base=container-image://localhost/stand-in/${short##*/}:$architecture")
    done
  fi
  buildah bud --isolation=chroot --timestamp 0 --platform "linux/$architecture" "${stand_in[@]}" "$@" \
    -t "$name" -f Dockerfile . >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log"; return 1; }
}

image_digest() { podman image inspect --format '{{.Digest}}' "$1"; }
image_size() { podman image inspect --format '{{.Size}}' "$1"; }

# image_pull_size NAME: what a registry would hold of it.
image_pull_size() {
  rm -rf "$scratch/pulled"
  skopeo copy --quiet --dest-compress "containers-storage:$1" "dir:$scratch/pulled"
  cat "$scratch"/pulled/* | wc -c
}

# container_tests COMMAND...: runs it with an engine's service for act and with what the tests of internal/test/image need;
# there, a test that would skip for want of it fails.
container_tests() {
  [ -S "$scratch/engine.sock" ] || engine_service
  CONTAINER_TESTS=required CONTAINER_ENGINE=$(command -v podman) CONTAINER_IMAGE=$image \
    FOREIGN_IMAGE=$image-$(foreign) RUNNER_IMAGE=$runner_image "$@"
}

engine_service() {
  podman system service --time=0 "$DOCKER_HOST" >"$scratch/engine.log" 2>&1 </dev/null &
  echo $! >"$scratch/engine.pid"
  for _ in $(seq 100); do
    [ ! -S "$scratch/engine.sock" ] || return 0
    sleep 0.1
  done
  cat "$scratch/engine.log"
  return 1
}

# engine_stop ends the service and whatever a failed test left running. It touches what is in $scratch alone.
engine_stop() {
  [ ! -s "$scratch/engine.pid" ] || kill "$(cat "$scratch/engine.pid")" || true
  [ -e "$CONTAINERS_CONF" ] || return 0
  podman rm --force --all --time 1 || true
  podman unmount --all --force || true
  umount "$scratch/storage/overlay" || true
}
