# The first process of the node's machine. It has network, mount and process namespaces of its own,
# so when it ends the kernel ends every process in them and takes away their mounts and links.
#
# Arguments: folder=<the rig's folder>/, then the folders that the machine must see besides.
set -eu
rig=${1#folder=}
rig=${rig%/}
shift

# Until the owner has joined the machine to the host and has written its settings, there is nothing to do.
while [ ! -e "$rig/node/settings" ]; do sleep 0.05; done
. "$rig/node/settings"
PATH=$TOOLS:$PATH

# By both names, the given one and that behind its links.
set -- "$rig" "$@"
for folder in "$@"; do set -- "$@" "$(readlink -f "$folder")"; done

# A root that is the host's but for what the node writes: that is memory, and gone with the machine.
# It is put together at /run, whose own files the machine does not need.
root=/run
# What is here goes on to see the files below.
cd "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
for entry in /*; do
  case $entry in /proc | /sys | /run | /tmp | /var | /lost+found) continue ;; esac
  if [ -L "$entry" ]; then
    cp -P "$entry" "$root$entry"
  elif [ -d "$entry" ]; then
    mkdir "$root$entry"
    mount --rbind "$entry" "$root$entry"
  fi
done
for folder in "$@"; do
  # Of one within another nothing is missing.
  [ ! -e "$root$folder" ] || continue
  case $folder in
  /tmp/* | /var/*)
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder" ;;
  /run/*)
    mkdir -p "$root$folder"
    mount --no-canonicalize --rbind "./${folder#/run/}" "$root$folder" ;;
  esac
done
mkdir -p "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/var/lib" "$root/var/log" "$root/old"
ln -s /run "$root/var/run"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
cd "$root"
pivot_root . old
cd /
umount -l /old
rmdir /old
mount --make-rshared /

# The kubelet sets these for the whole host, whatever its namespaces. It is shown files that hold what it wants.
shown() {
  [ -e "/proc/sys/$1" ] || return 0
  file=/run/shown.$(echo "$1" | tr / .)
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}
shown vm/overcommit_memory 1
shown vm/panic_on_oom 0
shown kernel/panic 10
shown kernel/panic_on_oops 1
shown kernel/keys/root_maxkeys 1000000
shown kernel/keys/root_maxbytes 25000000

# There is no default route: whatever is not this host or a pod goes nowhere. Addresses of services
# exist in the packet filter only, but what the node itself sends there needs a route to begin with: to
# a link that nobody answers on.
ip link set lo up
ip address add "$NODE/30" dev eth0
ip link set eth0 up
ip link add services type veth peer name nobody
ip link set services up
ip link set nobody up
ip route add "$SERVICES" dev services src "$NODE"
echo 1 >/proc/sys/net/ipv4/ip_forward

# Pods live below a cgroup of the machine's own: version 2 is one tree, version 1 a tree a controller.
cgroups=/sys/fs/cgroup
if [ -e "$cgroups/cgroup.controllers" ]; then
  mkdir -p "$cgroups/$CGROUP"
  for controller in $(cat "$cgroups/cgroup.controllers"); do
    # Not every controller can be handed down, and the kubelet says which ones it misses.
    echo "+$controller" 2>/dev/null >"$cgroups/cgroup.subtree_control" || true
    echo "+$controller" 2>/dev/null >"$cgroups/$CGROUP/cgroup.subtree_control" || true
  done
else
  for tree in "$cgroups"/*; do
    [ -d "$tree" ] && [ ! -L "$tree" ] || continue
    mkdir -p "$tree/$CGROUP"
    for file in cpuset.cpus cpuset.mems; do
      [ ! -e "$tree/$file" ] || cat "$tree/$file" >"$tree/$CGROUP/$file"
    done
  done
fi

for program in containerd containerd-shim-runc-v2 ctr kubelet kube-proxy coredns runc nft; do
  command -v "$program" >/dev/null || { echo "$program is not in the machine; PATH is $PATH" >&2; exit 1; }
done

# One that ends is started again, as an init system would.
keep() {
  log=$rig/logs/$1.log
  shift
  while :; do
    "$@" >>"$log" 2>&1 || true
    sleep 1
  done
}
keep containerd containerd --config "$rig/node/containerd.toml" &
echo "Waiting until containerd answers; its log is $rig/logs/containerd.log"
until ctr --connect-timeout 1s version >/dev/null 2>&1; do sleep 0.1; done
echo "It does; the images are imported, then the kubelet starts"
for image in "$rig"/node/images/*.tar; do
  ctr --namespace k8s.io images import --local "$image"
done
keep kube-proxy kube-proxy --kubeconfig="$rig/kube-proxy.kubeconfig" --hostname-override="$NODE_NAME" \
  --proxy-mode=nftables --detect-local-mode=ClusterCIDR --cluster-cidr="$PODS" \
  --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 &
keep coredns coredns -conf "$rig/node/Corefile" &
keep kubelet kubelet --config="$rig/node/kubelet.json" --kubeconfig="$rig/kubelet.kubeconfig" \
  --hostname-override="$NODE_NAME" --node-ip="$NODE" --root-dir=/var/lib/kubelet &
# As the first process it also reaps what others leave.
while :; do wait; sleep 1; done
