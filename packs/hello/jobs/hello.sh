# Says how many bytes the programs of this pack have. It begins in the folder of the pack; what it prints is logged.
set -eu
echo "looking at $(pwd)/jobs"
bytes=$(cat jobs/* | wc -c)
echo '{"operator":"progress","progress":100}'
if [ "$bytes" -eq 0 ]; then
  echo "there is nothing here" >&2
  exit 65 # for good: no other attempt can succeed
fi
echo "{\"operator\":\"result\",\"result\":{\"bytes\":$((bytes))}}"
