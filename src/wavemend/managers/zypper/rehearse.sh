# Say what would be done for exact packages, and do nothing: comes after frame.sh.
# Arguments: <nonce> 0 <name.arch=version>...
shift 2
export ZYPP_LOCK_TIMEOUT=30
section rehearsal timeout -k 10 90 zypper -n --no-refresh --xmlout install --dry-run \
  --no-recommends --no-force-resolution --name -- "$@"
finish
