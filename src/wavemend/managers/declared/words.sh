# Comes before each of the scripts: a command whose words arrive as data.
#
# Run the first <number of words> of what follows. Arguments: <account> <seconds, 0 for no bound>
# <number of words> <word>..., where a word's line breaks and backslashes are written \n and \\.
first() {
  account=$1 seconds=$2 left=$3 others=$(($# - 3 - $3))
  shift 3
  while [ "$left" -gt 0 ]; do
    case $1 in
      *\\*) word=$(printf '%bx' "$1") word=${word%x} ;; # the x keeps line breaks at its end
      *) word=$1 ;;
    esac
    set -- "$@" "$word"
    shift
    left=$((left - 1))
  done
  shift "$others"
  [ "$seconds" -eq 0 ] || set -- timeout -k 10 "$seconds" "$@"
  # The account's shell gets the words as they are: nothing of them is read by it.
  [ "$account" = root ] || set -- su -s /bin/sh -c 'exec "$@"' -- "$account" sh "$@"
  "$@"
}
