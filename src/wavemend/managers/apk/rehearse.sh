# Say what apk would do for exact versions, and do nothing: comes after reading/frame.sh.
# Arguments: <nonce> 0, then name=version of each.
shift 2

quietly() { apk --no-progress --cache-max-age 1000000 "$@"; }
names() { for word in "$@"; do printf '%s\n' "${word%%=*}"; done; }

# An upgrade of these names alone, and what the same versions would be when they are asked for.
section upgrade quietly upgrade --simulate --no-self-upgrade $(names "$@")
section exact quietly add --simulate "$@"
finish
