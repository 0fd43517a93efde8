#!/usr/bin/env bash
# Container engines of the tests' own, beside whatever engine the machine runs: installed if they may be, started, given a Python image.
# Usage: build/engines.sh start <directory>     writes <directory>/env, to be sourced; an engine that cannot run is a reason in it
#        build/engines.sh stop <directory>      ends what start began
# What a test may find: DEEPRECALL_TEST_DOCKER_HOST, _DOCKER_IMAGE, _DOCKER_RUNTIME (gVisor's), _PODMAN_HOST, and _DOCKER_SKIP, _PODMAN_SKIP: why not.
set -uo pipefail
cd "$(dirname "$0")/.."
action=$1
dir=$(realpath -m "$2")
image=deeprecall-test/python

say() { echo "$1=$(printf %q "$2"); export $1" >>"$dir/env"; }
failed() { # <engine> <reason>
  echo "The $1 tests will be skipped: $2" >&2
  say "DEEPRECALL_TEST_${1^^}_SKIP" "$2"
}

may_install() { command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; }

# Installs what the machine lacks, and takes nothing away from it: no package is removed or upgraded, and no service is started.
install() {
  local policy=/usr/sbin/policy-rc.d own='' status
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    own=1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove --no-upgrade "$@" >>"$dir/install.log" 2>&1
  status=$?
  [ -z "$own" ] || rm -f $policy
  return $status
}

wait_for() { # <engine's pid> <command...>
  local pid=$1
  shift
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

start_docker() {
  if [ "$(id -u)" != 0 ]; then
    failed docker "an engine is only started as root; set DEEPRECALL_TEST_DOCKER_HOST and DEEPRECALL_TEST_DOCKER_IMAGE to use one that runs"
    return
  fi
  if may_install; then
    command -v dockerd >/dev/null || install docker.io
    command -v docker >/dev/null || install docker-cli
    command -v runsc >/dev/null || install runsc
  fi
  for command in dockerd docker; do
    if ! command -v $command >/dev/null; then
      failed docker "$command is not there and could not be installed"
      return
    fi
  done

  mkdir -p "$dir/docker"
  if command -v runsc >/dev/null; then
    # The platform that needs no virtualization, and no cgroups of its own: the engine's own limits stay.
    echo "{\"runtimes\":{\"runsc\":{\"path\":\"$(command -v runsc)\",\"runtimeArgs\":[\"--network=none\",\"--platform=ptrace\",\"--ignore-cgroups\"]}}}" >"$dir/docker/daemon.json"
  else
    echo '{}' >"$dir/docker/daemon.json"
  fi

  # No network at all: the sandboxes have none, and nobody's firewall is touched.
  export DOCKER_HOST=unix://$dir/docker/engine.sock
  setsid dockerd --config-file "$dir/docker/daemon.json" --host "$DOCKER_HOST" --data-root "$dir/docker/data" --exec-root "$dir/docker/exec" \
    --pidfile "$dir/docker/pid" --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    >"$dir/docker/log" 2>&1 </dev/null &
  if ! wait_for $! docker version; then
    failed docker "dockerd did not start: $(tail -n 1 "$dir/docker/log")"
  elif ! build/python-image.sh "$image" 2>"$dir/docker/image.log"; then
    failed docker "the image could not be built: $(tail -n 1 "$dir/docker/image.log")"
  else
    say DEEPRECALL_TEST_DOCKER_HOST "$DOCKER_HOST"
    say DEEPRECALL_TEST_DOCKER_IMAGE "$image"
    if command -v runsc >/dev/null; then
      say DEEPRECALL_TEST_DOCKER_RUNTIME runsc
    fi
  fi
}

start_podman() {
  if [ "$(id -u)" != 0 ] || [ -z "${DEEPRECALL_TEST_DOCKER_HOST:-}" ]; then
    failed podman "it gets its image from the Docker engine of the tests, as root, and that is not there"
    return
  fi
  if ! command -v podman >/dev/null && may_install; then
    local needed=(podman catatonit)
    command -v runc >/dev/null || needed+=(runc)
    install "${needed[@]}"
  fi
  if ! command -v podman >/dev/null; then
    failed podman "podman is not there and could not be installed"
    return
  fi

  mkdir -p "$dir/podman"
  printf '[containers]\ndefault_ulimits = ["nofile=1024:1024","nproc=4096:4096"]\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >"$dir/podman/containers.conf"
  export CONTAINERS_CONF=$dir/podman/containers.conf
  local podman=(podman --root "$dir/podman/root" --runroot "$dir/podman/run" --tmpdir "$dir/podman/tmp")
  if ! docker save "$image" | "${podman[@]}" load >"$dir/podman/load.log" 2>&1; then
    failed podman "the image could not be loaded: $(tail -n 1 "$dir/podman/load.log")"
    return
  fi
  setsid "${podman[@]}" system service --time=0 "unix://$dir/podman/engine.sock" >"$dir/podman/log" 2>&1 </dev/null &
  echo $! >"$dir/podman/pid"
  if wait_for $! env DOCKER_HOST="unix://$dir/podman/engine.sock" docker version; then
    say DEEPRECALL_TEST_PODMAN_HOST "unix://$dir/podman/engine.sock"
  else
    failed podman "its service did not start: $(tail -n 1 "$dir/podman/log")"
  fi
}

case $action in
  start)
    mkdir -p "$dir"
    : >"$dir/env"
    if [ -n "${DEEPRECALL_TEST_DOCKER_HOST:-}" ]; then
      exit 0 # somebody gave the tests an engine
    fi
    if may_install; then
      apt-get update -qq >>"$dir/install.log" 2>&1
    fi
    start_docker
    . "$dir/env"
    start_podman
    ;;
  stop)
    if [ -d "$dir/podman/root" ]; then
      # Its containers are not its service's children.
      CONTAINERS_CONF=$dir/podman/containers.conf podman --root "$dir/podman/root" --runroot "$dir/podman/run" --tmpdir "$dir/podman/tmp" rm -af -t 0 >/dev/null 2>&1
    fi
    for engine in podman docker; do
      if [ -s "$dir/$engine/pid" ]; then
        pid=$(cat "$dir/$engine/pid")
        kill "$pid" 2>/dev/null
        for _ in $(seq 300); do
          kill -0 "$pid" 2>/dev/null || break
          sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null
      fi
    done
    # Mounts of containers that outlived their engine would be deleted through.
    grep -F " $dir/" /proc/self/mounts | cut -d ' ' -f 2 | sort -r | while read -r mount; do
      umount -l "$mount"
    done
    rm -rf "$dir"
    ;;
esac
