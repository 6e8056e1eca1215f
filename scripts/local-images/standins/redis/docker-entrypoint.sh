#!/usr/bin/env bash
# Runs redis-server as the user redis, or any other command unchanged.
set -euo pipefail

# Flags or a configuration file alone are meant for the server.
if [[ $# == 0 || $1 == -* || $1 == *.conf ]]; then
	set -- redis-server "$@"
fi
if [[ $1 != redis-server ]]; then
	exec "$@"
fi

if [[ $(id -u) == 0 ]]; then
	find /data ! -user redis -exec chown redis:redis {} +
	exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
fi

umask 0077
shift
configuration=()
if [[ ${1:-} == *.conf ]]; then
	configuration=("$1")
	shift
fi
# Other containers are other hosts, which the protected mode would refuse. Upstream's image turns it off, too.
exec redis-server "${configuration[@]}" --protected-mode no "$@"
