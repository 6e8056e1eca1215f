#!/usr/bin/env bash
# Every command of Kafka: it is called by a link with the command's name. "kafka-command.sh list" lists the names.
set -euo pipefail

declare -A classes=(
	[kafka-acls]=org.apache.kafka.tools.AclCommand
	[kafka-broker-api-versions]=org.apache.kafka.tools.BrokerApiVersionsCommand
	[kafka-cluster]=org.apache.kafka.tools.ClusterTool
	[kafka-configs]=org.apache.kafka.tools.ConfigCommand
	[kafka-console-consumer]=org.apache.kafka.tools.consumer.ConsoleConsumer
	[kafka-console-producer]=org.apache.kafka.tools.ConsoleProducer
	[kafka-consumer-groups]=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
	[kafka-delete-records]=org.apache.kafka.tools.DeleteRecordsCommand
	[kafka-features]=org.apache.kafka.tools.FeatureCommand
	[kafka-get-offsets]=org.apache.kafka.tools.GetOffsetShell
	[kafka-leader-election]=org.apache.kafka.tools.LeaderElectionCommand
	[kafka-log-dirs]=org.apache.kafka.tools.LogDirsCommand
	[kafka-metadata-quorum]=org.apache.kafka.tools.MetadataQuorumCommand
	[kafka-reassign-partitions]=org.apache.kafka.tools.reassign.ReassignPartitionsCommand
	[kafka-run-class]=""
	[kafka-server-start]=kafka.Kafka
	[kafka-storage]=kafka.tools.StorageTool
	[kafka-topics]=org.apache.kafka.tools.TopicCommand
)

name=$(basename "$0" .sh)
if [[ $name == kafka-command ]]; then
	printf '%s\n' "${!classes[@]}"
	exit
fi

level=warn
heap=-Xmx256M
# A command lives for a second: it starts faster with the simple compiler and collector.
runtime=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1)
if [[ $name == kafka-server-start ]]; then
	level=info
	heap='-Xms1G -Xmx1G'
	runtime=(-XX:+ExitOnOutOfMemoryError)
fi
# The variables hold several options each, separated by spaces.
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS:-$heap} "${runtime[@]}" \
	-Dorg.slf4j.simpleLogger.defaultLogLevel=$level -Dorg.slf4j.simpleLogger.showDateTime=true \
	-Dorg.slf4j.simpleLogger.dateTimeFormat='yyyy-MM-dd HH:mm:ss.SSS' \
	${KAFKA_OPTS:-} -cp '/opt/kafka/libs/*' ${classes[$name]} "$@"
