# What wavemend asks a Debian or Ubuntu host, in one round trip: comes after reading/frame.sh.
# Reads only; with <refresh seconds> above 0 the package index, a cache, is renewed first. Nothing
# here needs a program that Debian does not mark as essential.
export NEEDRESTART_MODE=l

package_arch() { dpkg --print-architecture; }

refresh_index() {
  # apt-get waits for dpkg's locks, never for this one.
  wait_for_locks "$([ "$refresh" -lt 60 ] && echo "$refresh" || echo 60)" /var/lib/apt/lists/lock
  # Ending apt-get here is harmless: it only fetches, and keeps the old index when it fails.
  # Unsigned and outdated sources are refused, whatever the host's own configuration says.
  timeout -k 10 "$refresh" apt-get -q update -o APT::Color=0 -o DPkg::Lock::Timeout=60 \
    -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    -o Acquire::AllowInsecureRepositories=false -o Acquire::AllowWeakRepositories=false \
    -o Acquire::AllowDowngradeToInsecureRepositories=false \
    -o Acquire::Check-Date=true -o Acquire::Check-Valid-Until=true
}

# The sources that apt has an index of: address, release, trusted, and where each is declared.
targets() {
  apt-get indextargets --format '$(REPO_URI)	$(RELEASE)	$(TRUSTED)	$(SOURCESENTRY)' \
    'Created-By: Packages'
}

# Where the host's configuration asks apt to look away, after `<file>:<line or paragraph>`.
weakened() {
  apt-config dump |
    grep -iE '^(APT::Get::AllowUnauthenticated|Acquire::(Allow[a-z]*Repositories|Check-[a-z-]*)) '
  for file in "$R"/etc/apt/sources.list "$R"/etc/apt/sources.list.d/*.list \
    "$R"/etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    awk -v file="${file#"$R"}" '
      /^[ \t]*$/ { inside = 0 }
      /^[ \t]*(#|$)/ { next }
      { if (file !~ /\.sources$/) place = FNR; else if (!inside) { place++; inside = 1 } }
      { low = tolower($0) }
      low ~ /(trusted|allow-insecure|allow-weak|allow-downgrade-to-insecure)[ \t]*[:=][ \t]*yes/ ||
      low ~ /check-(date|valid-until)[ \t]*[:=][ \t]*(no|false)/ { print file ":" place, $0 }
    ' "$file"
  done
  return 0
}

release_dates() {
  for file in "$R"/var/lib/apt/lists/*Release; do
    [ -f "$file" ] && printf '%s %s\n' "${file##*/}" "$(sed -n '/^Date: /{s///p;q;}' "$file")"
  done
  return 0
}

packages() {
  dpkg-query -W -f '${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Abbrev}\n'
}

simulate() { apt-get -s -q -o Debug::NoLocking=true -o APT::Color=0 "$@"; }

# What would be done with holds and phasing ignored: held and phased updates with their origin.
everything() {
  simulate --ignore-hold -o APT::Get::Always-Include-Phased-Updates=true dist-upgrade
}

upgradable() { apt -q list --upgradable 2>/dev/null; }

# `name=version` of what a full upgrade would bring and a plain one would not.
kept_back() {
  printf '%s\n' "$1" | sed -n 's/^Inst \([^ ]*\) \[[^]]*\] (\([^ )]*\).*/\1 \2/p' |
    while read -r name version; do
      case $plain in
        *"Inst $name ["*) ;;
        *) printf '%s=%s\n' "$name" "$version" ;;
      esac
    done
}

# What each update needs that a plain upgrade keeps back: one simulation after another, so that
# one that cannot come hides no other. Twenty are asked for: half a second each on a slow host.
companions() {
  printf '%s\n' "$kept" | head -n 20 | while IFS= read -r word; do
    printf 'alone %s\n' "$word"
    simulate -y --no-install-recommends install "$word" | grep -E '^(Inst|Remv|Purg) '
  done
  return 0
}

# What the updates of a plain upgrade ask of each other, as they are and as they come: only with it
# can some of them be planned without the others. What a package asks already is fulfilled already.
bonds() {
  set -f
  [ "$(printf '%s\n' "$1" | grep -c '^Inst [^ ]* \[')" -gt 1 ] || return 0
  old=$(printf '%s\n' "$1" | sed -n 's/^Inst \([^ ]*\) \[\([^]]*\)\] .*/\1=\2/p')
  new=$(printf '%s\n' "$1" | sed -n 's/^Inst \([^ ]*\) \[[^]]*\] (\([^ )]*\).*/\1=\2/p')
  apt-cache show $old $new | awk -v old="$old" '
    function about(relation,  term, i, n) {
      n = split(relation, term, / *[|] */)
      for (i = 1; i <= n; i++)
        if (match(term[i], /[ :(]/) && term[i] ~ /[(]/ && substr(term[i], 1, RSTART - 1) in wanted)
          return 1
      return 0
    }
    function out(  i, j, n, one, stays, line) {
      stays = (package, version) in installed
      for (i = 1; i <= count; i++) {
        n = split(text[i], one, / *, */)
        for (j = 1; j <= n; j++) {
          if (!about(one[j])) continue
          line = package "\t" arch "\t" field[i] "\t" one[j]
          if (!stays) coming[++comes] = line
          else if (!(line in asked) && field[i] == "Depends" && one[j] ~ /[(] *[=<]/)
            print "stays\t" line
          if (stays) asked[line]
        }
      }
      count = 0
    }
    function take(kind) { field[++count] = kind; text[count] = substr($0, index($0, ":") + 2) }
    BEGIN {
      n = split(old, word, /[ \n]+/)
      for (i = 1; i <= n; i++) {
        split(word[i], part, "=")
        sub(/:.*/, "", part[1])
        wanted[part[1]]
        installed[part[1], part[2]]
      }
    }
    /^$/ { out() }
    /^Package: / { package = $2 }
    /^Version: / { version = $2 }
    /^Architecture: / { arch = $2 }
    /^(Pre-)?Depends: / { take("Depends") }
    /^(Breaks|Conflicts): / { take("Breaks") }
    END {
      out()
      for (i = 1; i <= comes; i++) if (!(coming[i] in asked)) print "comes\t" coming[i]
    }'
}

policies() {
  set -f
  apt-cache policy $names
}

# Something of the host's own decides which versions apt takes. A default release outranks every
# other source, and Debian's security updates are a release of another name.
prefers() {
  cat "$R"/etc/apt/preferences "$R"/etc/apt/preferences.d/* 2>/dev/null |
    grep -qi '^pin-priority' ||
    cat "$R"/etc/apt/apt.conf "$R"/etc/apt/apt.conf.d/* 2>/dev/null | grep -qi 'default-release'
}

# Newer versions that apt knows and would not take: the version table is sorted, newest first, so
# they stand above the candidate's own row. Asked only where preferences are set at all.
passed_over() {
  prefers || return 0
  dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package}\n' | sed -n 's/^.i *//p' |
    xargs apt-cache policy |
    awk '
      /^[^ ]/ { block = ""; above = 0; candidate = "" }
      /^  Candidate: / { candidate = $2 }
      { block = block $0 "\n" }
      /^ (   |\*\*\*) [^ ]/ {
        version = ($1 == "***") ? $2 : $1
        if (version == candidate && above) printf "%s", block
        if (version == candidate) { candidate = "" }
        above++
      }
    '
}

esm() {
  command -v pro >/dev/null || return 0
  timeout -k 10 60 pro security-status --format json
}

reboot_required() {
  [ -e "$R/run/reboot-required" ] || return 0
  echo "reboot-required"
  cat "$R/run/reboot-required.pkgs" 2>/dev/null || :
}

stale_services() {
  # Without it, or where it fails, less is seen, said in the same form.
  { command -v needrestart >/dev/null && timeout -k 10 120 needrestart -b -r l; } ||
    replaced_files | sed 's/^/NEEDRESTART-SVC: /'
}

# Entries that a killed dpkg has not brought into its list: dpkg reads them, apt refuses to work on
# them. Those of a running one are nobody's trouble.
interrupted() {
  ls "$R/var/lib/dpkg/updates" 2>/dev/null | grep -x '[0-9]*' || return 0
  [ -z "$(dpkg_lock)" ] || echo running
}

dpkg_lock() { lock_holders /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock; }

rivals() {
  apt-config dump APT::Periodic::Enable
  apt-config dump APT::Periodic::Unattended-Upgrade
  timer=apt-daily-upgrade.timer
  if [ "$(readlink "$R/etc/systemd/system/$timer")" = /dev/null ]; then echo "timer masked"
  elif [ -L "$R/etc/systemd/system/timers.target.wants/$timer" ]; then echo "timer enabled"
  elif [ -d "$R/run/systemd/system" ]; then echo "timer disabled"
  elif [ -e "$R/etc/cron.daily/apt-compat" ]; then echo "timer cron"
  fi
  # A first boot installs packages of its own until it has written its result.
  [ ! -d "$R/run/cloud-init" ] || [ -e "$R/run/cloud-init/result.json" ] ||
    [ -e "$R/run/cloud-init/disabled" ] || echo "cloud-init running"
  # What runs now: `/proc/<pid>/comm` is cut to 15 letters.
  grep -HxE 'apt\.systemd\.dai.*|aptitude|do-release-upgr|google_osconfig|landscape-clien|packagekitd' \
    "$R"/proc/[0-9]*/comm 2>/dev/null || :
}

about_host
# Before the refresh: it shows who else may change the host.
[ "$refresh" -eq 0 ] || section refresh refresh_index
if [ "$refresh" -gt 0 ]; then
  section targets targets
  section weakened weakened
  section release-dates release_dates
fi
# Early: who works on the host now may change what the rest says.
section lock dpkg_lock
section packages packages
section interrupted interrupted

section upgrade simulate upgrade
plain=$out all=$out
# The usual host has nothing kept back; only the others are asked more.
case $plain in
  *" and 0 not upgraded."*) ;;
  *)
    section full-upgrade simulate dist-upgrade
    kept=$(kept_back "$out")
    section phasing-ignored simulate -o APT::Get::Always-Include-Phased-Updates=true dist-upgrade
    section everything everything
    all="$all $out"
    section upgradable upgradable
    [ -z "$kept" ] || section companions companions
    ;;
esac
section bonds bonds "$plain"
names=$(printf '%s\n' "$all" | sed -n 's/^Inst \([^ ]*\) \[.*/\1/p' | sort -u)
[ -z "$names" ] || section policy policies
section passed-over passed_over
section esm esm

section reboot-required reboot_required
section needrestart stale_services
section rivals rivals
finish
