#!/usr/bin/env bash
# Adds the ACLs of /etc/kafka/acls.txt, three at a time: each command starts a Java machine. One that exists is kept.
set -euo pipefail

# add USER KIND NAME OPERATION…
add() {
	local principal=User:$1 kind=--$2 name=$3
	shift 3
	/opt/kafka/bin/kafka-acls.sh --bootstrap-server kafka:9092 --command-config /run/secrets/client.properties \
		--add --allow-principal "$principal" "$kind" "$name" "${@/#/--operation=}"
}

running=()
await() {
	local pid
	for pid in "${running[@]}"; do
		wait "$pid"
	done
	running=()
}

while read -ra words; do
	if ((${#words[@]} == 0)) || [[ ${words[0]} == \#* ]]; then
		continue
	fi
	add "${words[@]}" &
	running+=($!)
	((${#running[@]} < 3)) || await
done </etc/kafka/acls.txt
await
