# Say what would be done for exact packages, and do nothing: comes after frame.sh and tool.sh.
# Arguments: <nonce> 0 <name-version-release.arch>...
shift 2
section tool echo "$tool"
section rehearsal simulate install "$@"
finish
