# Bring packages to exact versions: comes after rpm/changing.sh and tool.sh.
# Arguments: <install|downgrade> <name-version-release.arch>...
# The exit status is the tool's own. It never erases what is in its way, so nothing is removed
# that was not in the rehearsal, whose index it uses.
action=$1
shift
echo "wavemend-tool $tool"
change "$dnf" -y --setopt=exit_on_lock=True "$STRICT" "$AS_SEEN" "$WEAK" "$BEST" \
  "$action" "$@"
