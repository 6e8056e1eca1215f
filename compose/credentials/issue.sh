#!/usr/bin/env bash
# Issues what the system of secure.yaml needs: a certificate authority, certificates and passwords. A folder below
# /secrets is the volume of one container, and its files belong to that container's user. A later run keeps passwords, and
# renews the certificates that expire within 30 days.
set -euo pipefail
umask 077

authority=/authority # the CA's key and the passwords, in no other container
valid_days=365
authority_days=3650
renewal_seconds=$((30 * 86400))

# The users of the images.
postgres=999 redis=999 kafka=1000 nonroot=65532 nobody=65534 grafana=472 root=0

# is_current reports whether a certificate remains valid for a while.
is_current() {
	[[ -s $1 ]] && openssl x509 -in "$1" -noout -checkend "$renewal_seconds" >/dev/null
}

# new_certificate writes NAME.crt and NAME.key. Its other arguments are those of openssl req.
new_certificate() {
	local name=$1 path=$authority/$1 messages
	shift
	echo "issuing the certificate of $name"
	if ! messages=$(openssl req -x509 -config <(printf '[req]\ndistinguished_name=name\n[name]\n') -subj "/CN=$name" \
		-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$path.key.new" -out "$path.crt.new" "$@" 2>&1); then
		echo "$messages" >&2
		return 1
	fi
	rm -f "$path.crt" # an interrupted run leaves no pair that does not fit
	mv "$path.key.new" "$path.key"
	mv "$path.crt.new" "$path.crt"
}

issue_authority() {
	is_current "$authority/todo-ca.crt" || new_certificate todo-ca -days "$authority_days" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}

# issue issues a certificate of the name, for serverAuth or clientAuth.
issue() {
	local name=$1 purpose=$2 path=$authority/$1
	if is_current "$path.crt" && openssl verify -CAfile "$authority/todo-ca.crt" "$path.crt" >/dev/null 2>&1; then
		return
	fi
	new_certificate "$name" -CA "$authority/todo-ca.crt" -CAkey "$authority/todo-ca.key" -days "$valid_days" \
		-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \
		-addext extendedKeyUsage="$purpose" -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1,IP:::1"
}

# make_password makes the password of the name, unless there is one.
make_password() {
	local path=$authority/$1.password
	if [[ ! -s $path ]]; then
		openssl rand -hex 32 >"$path.new"
		mv "$path.new" "$path"
	fi
}

password() { cat "$authority/$1.password"; }

# put writes its input to a file for one container: put CONSUMER USER FILE.
put() {
	local path=/secrets/$1/$3
	rm -f "$path.new" # of a run that was interrupted; it may belong to the user
	cat >"$path.new"
	chmod 0400 "$path.new"
	chown "$2" "$path.new"
	mv "$path.new" "$path"
}

# put_certificate gives a container the CA's certificate, and a certificate of its own with its key.
put_certificate() {
	local consumer=$1 user=$2 purpose=$3
	issue "$consumer" "$purpose"
	put "$consumer" "$user" ca.crt <"$authority/todo-ca.crt"
	put "$consumer" "$user" tls.key <"$authority/$consumer.key"
	put "$consumer" "$user" tls.crt <"$authority/$consumer.crt"
}

dsn() {
	echo "postgres://$1:$(password "$1")@postgres:5432/todo?sslmode=verify-full&sslrootcert=/run/secrets/ca.crt"
}

hash() { printf %s "$(password "$1")" | sha256sum | cut -d' ' -f1; }

issue_authority
for name in postgres todo_migrate todo_service grafana \
	redis-admin redis-todo-service redis-notification-service redis-stats-service \
	kafka-broker kafka-admin kafka-todo-service kafka-notification-service kafka-stats-service; do
	make_password $name
done

put_certificate postgres $postgres serverAuth
password postgres | put postgres $postgres password

put postgres-roles $postgres ca.crt <"$authority/todo-ca.crt"
put postgres-roles $postgres pgpass <<<"postgres:5432:todo:postgres:$(password postgres)"
for role in todo_migrate todo_service; do
	echo "ALTER ROLE $role PASSWORD '$(password $role)';"
done | put postgres-roles $postgres passwords.sql

put_certificate redis $redis serverAuth
sed -e '/^#/d' -e "s/\$ADMIN\b/$(hash redis-admin)/" -e "s/\$TODO_SERVICE\b/$(hash redis-todo-service)/" \
	-e "s/\$NOTIFICATION_SERVICE\b/$(hash redis-notification-service)/" -e "s/\$STATS_SERVICE\b/$(hash redis-stats-service)/" \
	/templates/users.acl | put redis $redis users.acl

login_module=org.apache.kafka.common.security.plain.PlainLoginModule
issue kafka serverAuth
put kafka $kafka ca.crt <"$authority/todo-ca.crt"
cat "$authority/kafka.key" "$authority/kafka.crt" | put kafka $kafka tls.pem
{
	echo "KafkaServer { $login_module required username=\"broker\" password=\"$(password kafka-broker)\""
	for user in broker admin todo-service notification-service stats-service; do
		echo "user_$user=\"$(password kafka-$user)\""
	done
	echo "; };"
} | put kafka $kafka jaas.conf

put kafka-admin $kafka ca.crt <"$authority/todo-ca.crt"
put kafka-admin $kafka client.properties <<END
security.protocol=SASL_SSL
sasl.mechanism=PLAIN
sasl.jaas.config=$login_module required username="admin" password="$(password kafka-admin)";
ssl.truststore.type=PEM
ssl.truststore.location=/run/secrets/ca.crt
END

for service in todo-service notification-service stats-service; do
	put_certificate $service $nonroot serverAuth
	password redis-$service | put $service $nonroot redis-password
	password kafka-$service | put $service $nonroot kafka-password
done
dsn todo_service | put todo-service $nonroot postgres-dsn

put migrate $nonroot ca.crt <"$authority/todo-ca.crt"
dsn todo_migrate | put migrate $nonroot postgres-dsn

put_certificate prometheus $nobody clientAuth
password grafana | put grafana $grafana password

# For the person who operates the system: docker compose cp credentials:/secrets/operator .
put_certificate operator $root clientAuth
for server in postgres redis-admin kafka-admin grafana; do
	password $server | put operator $root $server.password
done
