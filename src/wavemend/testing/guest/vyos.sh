#!/bin/sh
# A SIMULATOR of the few VyOS commands that declare images; it says so in `show version`.
#
# The forms of output are those of VyOS 1.4 and 1.5: of its documentation (image management,
# updates) and of its programs image_info, image_manager, image_installer and system of vyos-1x.
# Called by the names of the real programs. What a router remembers is in $S: a folder per image,
# `default`, `running` (`<boot id> <image>`), `offered` (the remote list); `slow` holds seconds that
# a download takes, `full` makes the disk full, the image in `falls-back` does not come up.
S="${WAVEMEND_ROOT:-}/config/.simulated-vyos"
boot=$(cat "${WAVEMEND_ROOT:-}/proc/sys/kernel/random/boot_id")

default=$(cat "$S/default")
running() {
  read -r seen image <"$S/running"
  if [ "$seen" != "$boot" ]; then
    # A restart since: the default image runs now, unless it does not come up and GRUB falls back.
    grep -qxF "$default" "$S/falls-back" 2>/dev/null || image=$default
    printf '%s %s\n' "$boot" "$image" >"$S/running"
  fi
  printf '%s\n' "$image"
}
running=$(running)

die() { printf '%s\n' "$1" >&2; exit 1; }

summary_json() {
  printf '{\n    "image_default": "%s",\n    "image_running": "%s",\n    "images_available": [' "$default" "$running"
  comma=
  for image in "$S"/images/*; do printf '%s\n        "%s"' "$comma" "${image##*/}"; comma=,; done
  printf '\n    ],\n    "console_type": "tty",\n    "console_num": "0"\n}\n'
}

# As the library tabulate sets it: two blanks between columns, none at the end of a line.
summary_table() {
  width=6
  for image in "$S"/images/*; do name=${image##*/}; [ "${#name}" -le "$width" ] || width=${#name}; done
  row() { printf "%-${width}s  %-14s  %s\n" "$1" "$2" "$3" | sed 's/ *$//'; }
  row Name "Default boot" Running
  row "$(printf '%*s' "$width" '' | tr ' ' -)" -------------- ---------
  for image in "$S"/images/*; do
    name=${image##*/} boots='' runs=''
    [ "$name" != "$default" ] || boots=Yes
    [ "$name" != "$running" ] || runs=Yes
    row "$name" "$boots" "$runs"
  done
}

updates() {
  [ -e "$S/offered" ] || { echo "system update-check not configured"; exit 1; }
  read -r offered <"$S/offered"
  if [ "$offered" = "$running" ]; then
    printf 'No available updates for your system \ncurrent version: %s\nremote version: %s\n' "$running" "$offered"
  else
    printf 'Current version: %s\n\nUpdate available: %s\nUpdate URL: https://images.example.net/vyos/vyos-%s-generic-amd64.iso\n' \
      "$running" "$offered" "$offered"
  fi
}

set_default() {
  [ "$1" != "$default" ] || die "The image \"$1\" already configured as default"
  [ -d "$S/images/$1" ] || die "The image \"$1\" cannot be found"
  printf '%s\n' "$1" >"$S/default"
  echo "The image \"$1\" is now default boot image"
}

add_image() {
  prompt=yes path=
  while [ $# -gt 0 ]; do
    case $1 in
      --no-prompt) prompt=no ;;
      --image-path) path=$2; shift ;;
      --action) [ "$2" = add ] || die "installing is not simulated"; shift ;;
      *) echo "image_installer.py: error: unrecognized arguments: $1" >&2; exit 2 ;;
    esac
    shift
  done
  [ -n "$path" ] || die 'A path to image is required for add action'
  version=${path##*/vyos-} version=${version%-generic-amd64.iso}
  grep -qxF "$version" "$S/offered" "$S/published" 2>/dev/null || die "The image file cannot be fetched: 404 Client Error: Not Found for url: $path"
  [ ! -e "$S/slow" ] || sleep "$(cat "$S/slow")"
  echo "Validating image checksums"
  if [ "$prompt" = yes ]; then
    printf 'What would you like to name this image? (Default: %s) ' "$version"
    read -r _ || die 'Error: EOF when reading a line'
  fi
  [ ! -d "$S/images/$version" ] || die "Error: [Errno 17] File exists: '/usr/lib/live/mount/persistence/boot/$version/rw/opt/vyatta/etc/config'"
  printf 'Copying configuration directory\nCopying SSH host keys\nCopying system image files\n'
  [ ! -e "$S/full" ] || die "Error: [Errno 28] No space left on device"
  mkdir -p "$S/images/$version"
  printf '%s\n' "$version" >"$S/default"
  printf 'Cleaning up\nUnmounting target filesystems\nRemoving temporary files\n'
}

case "${0##*/} $*" in
  "image_info.py show_images_summary --raw") summary_json ;;
  "image_info.py show_images_summary" | "vyatta-op-cmd-wrapper show system image") summary_table ;;
  "vyatta-op-cmd-wrapper show system updates") updates ;;
  "vyatta-op-cmd-wrapper show version") printf 'Version:          VyOS %s (simulated by wavemend)\n' "$running" ;;
  "vyatta-op-cmd-wrapper set system image default-boot "?*) set_default "$5" ;;
  "vyatta-op-cmd-wrapper reboot now") exec shutdown -r now ;;
  "image_manager.py --action list") for image in "$S"/images/*; do echo "${image##*/}"; done ;;
  "image_installer.py "*) add_image "$@" ;;
  *) printf '\n  Invalid command: [%s]\n\n' "$*"; exit 1 ;;
esac
