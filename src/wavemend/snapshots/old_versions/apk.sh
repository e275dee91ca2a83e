# Say of each package whether a repository or apk's cache has that version. Arguments: name,
# architecture and version, three per package. Prints `yes` or `no` for each, in their order.
# Changes nothing.
set -u
export PATH="${PATH:-}:/usr/sbin:/sbin:/usr/bin:/bin" LC_ALL=C.UTF-8 LANGUAGE=

# `apk policy` lists each version, and below it where it is; the installed one is in apk's database.
offered() {
  apk policy "$1" </dev/null 2>/dev/null | {
    version= found=1
    while IFS= read -r line; do
      case $line in
        "      "*) ;;
        "    "*) [ "$version" != "$2" ] || [ "${line#    }" = lib/apk/db/installed ] || found=0 ;;
        "  "*:) version=${line#  } version=${version%:} ;;
      esac
    done
    return "$found"
  }
}
while [ "$#" -ge 3 ]; do
  if offered "$1" "$3"; then echo yes; else echo no; fi
  shift 3
done
