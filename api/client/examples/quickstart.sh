#!/bin/sh
# The derivative of A*W in the direction H, with curl alone: JSON in, NumPy's .npy out.
#   sh quickstart.sh http://127.0.0.1:8080 [API-KEY]
set -eu
url=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

ask() { # the rest of the arguments is curl's; a refusal ends the script with the problem
  curl --silent --show-error --fail-with-body ${key:+--header "Authorization: Bearer $key"} "$@"
}
key=${2-}
field() { # the first text of this name in a JSON document
  sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1
}

# An operand may be uploaded once, and serve many jobs by its id.
printf '1,2\n3,4\n5,6\n' >"$folder/A.csv"
A=$(ask "$url/v1/arrays" --header 'Content-Type: text/csv' --data-binary "@$folder/A.csv" | field id | cut -c 1-64)

# Submit, and wait up to 30 s for the end. With the same key, sending it again makes no second job.
ask "$url/v1/jobs" --output "$folder/job" \
  --header 'Content-Type: application/json' --header 'Prefer: wait=30' --header "Idempotency-Key: $(date +%s)-$$" \
  --data '{ "operation": "jvp", "operands": { "A": "'"$A"'" }, "direction": { "data": [[1, 0], [-2, 1]] } }'
id=$(sed 's/{"id":"\([^"]*\)".*/\1/' "$folder/job")

# The result as rows, and as a file that numpy.load reads.
ask "$url/v1/jobs/$id/result" --header 'Accept: text/csv'
ask "$url/v1/jobs/$id/result" --output "$folder/C.npy"
ls -l "$folder/C.npy" | awk '{ print $5, "bytes of .npy" }'
