#!/usr/bin/env bash
# Runs the PostgreSQL server as the user postgres, or any other command unchanged. At the first start it creates
# the database POSTGRES_DB of POSTGRES_USER with POSTGRES_PASSWORD, or with what the file POSTGRES_PASSWORD_FILE has, and
# runs what is in /docker-entrypoint-initdb.d.
set -euo pipefail

# create_database creates the data folder and its content. Its arguments are the server's.
create_database() {
	if [[ -n ${POSTGRES_PASSWORD_FILE:-} ]]; then
		POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
	fi
	if [[ -z ${POSTGRES_PASSWORD:-} ]]; then
		echo "postgres: there is no database in $PGDATA, and POSTGRES_PASSWORD, which a new one needs, is not set" >&2
		exit 1
	fi
	local user=${POSTGRES_USER:-postgres}
	local database=${POSTGRES_DB:-$user}
	initdb --pgdata="$PGDATA" --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD")
	printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"

	# Until everything is in place, the server listens on its socket alone.
	pg_ctl --wait --options="$(printf '%q ' "$@" -c listen_addresses=)" start
	if [[ $database != postgres ]]; then
		psql --username="$user" --dbname=postgres --set=name="$database" <<<'CREATE DATABASE :"name"'
	fi
	local file
	for file in /docker-entrypoint-initdb.d/*; do
		run_file "$file" "$user" "$database"
	done
	pg_ctl --wait --mode=fast stop
}

psql() {
	command psql --no-psqlrc --no-password --set=ON_ERROR_STOP=1 --quiet "$@"
}

run_file() {
	local file=$1 user=$2 database=$3
	case $file in
	*.sql)
		echo "postgres: running $file"
		psql --username="$user" --dbname="$database" --file="$file"
		;;
	*.sh)
		echo "postgres: running $file"
		bash "$file"
		;;
	esac
}

# Flags alone are meant for the server.
if [[ $# == 0 || $1 == -* ]]; then
	set -- postgres "$@"
fi
if [[ $1 != postgres ]]; then
	exec "$@"
fi

mkdir -p "$PGDATA"
if [[ $(id -u) == 0 ]]; then
	find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres:postgres {} +
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
chmod 700 "$PGDATA"
if [[ ! -s $PGDATA/PG_VERSION ]]; then
	create_database "${@:2}"
fi
exec "$@"
