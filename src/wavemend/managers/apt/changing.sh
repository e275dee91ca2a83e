# What apt's jobs share: comes after reading/frame.sh, whose two arguments come first.
# Arguments: what needrestart does (l: list, a: restart), and then the job's own.
shift 2
# Nothing may ask.
export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE="$1"
shift

# apt-get waits for dpkg's locks, and fails at once while another one fetches packages: so
# unattended-upgrades does, before it takes any lock of dpkg's.
wait_for_downloads() (
  set +f # where names are no patterns, those in /proc still are
  wait_for_locks 120 /var/cache/apt/archives/lock
)
