# Finish or mend what an earlier transaction left in between, and change nothing else: comes after
# reading/frame.sh and changing.sh. Arguments: apt-get's own, up to the operation.
# Exit status: 0 when dpkg finds nothing left in between, 71 when it does: no status of apt-get's.
export UCF_FORCE_CONFFOLD=1

# What was unpacked is configured. dpkg waits for nobody: exit status 2 is a lock that another
# process holds, or something that trying again does not mend either.
tries=12
while :; do
  dpkg --force-confdef --force-confold --configure -a </dev/null
  rc=$?
  [ "$rc" -eq 2 ] && [ "$tries" -gt 0 ] || break
  tries=$((tries - 1))
  sleep 10
done

# What was cut while it was unpacked cannot be configured: it is unpacked again, in exactly the
# version that dpkg has on record.
set -f
cut() { dpkg-query -W -f "$1 \${db:Status-Abbrev}\n" | sed -n 's/ ..R$//p'; }
words=$(cut '${binary:Package}=${Version}')
if [ -n "$words" ]; then
  names=$(cut '${Package}')
  more=$(apt-get -s "$@" --reinstall install -- $words </dev/null |
    sed -n 's/^\(Inst\|Remv\|Purg\) \([^ :]*\).*/\2/p' | grep -vxF "$names")
  if [ -z "$more" ]; then
    wait_for_downloads
    apt-get "$@" --reinstall install -- $words </dev/null
  else
    printf 'wavemend-beyond to unpack %s again, apt-get would also change %s\n' $names "$more"
  fi
fi

# What is still missing would be another change, of packages that nobody approved.
beyond=$(apt-get -s "$@" -f install </dev/null | grep -E '^(Inst|Remv|Purg) ')
[ -z "$beyond" ] || printf 'wavemend-beyond a repair: %s\n' "$beyond"

left=$(dpkg --audit)
[ -z "$left" ] || printf '%s\n' "$left"
[ -z "$left" ] && [ -z "$beyond" ] || exit 71
