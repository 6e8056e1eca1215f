#!/usr/bin/env bash
# Runs haproxy in the foreground as master and worker, or any other command unchanged.
set -euo pipefail

# Flags alone are meant for haproxy.
if [[ $# == 0 || $1 == -* ]]; then
	set -- haproxy "$@"
fi
if [[ $1 == haproxy ]]; then
	shift
	set -- haproxy -W -db "$@"
fi
exec "$@"
