package rights

import "github.com/twmb/franz-go/pkg/kmsg"

// produce sends no valid batch: Kafka checks the right first, and then rejects the batch.
func produce(topic string) kmsg.Request {
	request := kmsg.NewPtrProduceRequest()
	request.Acks, request.TimeoutMillis = -1, 1000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = []byte{}
	t.Partitions = append(t.Partitions, p)
	request.Topics = append(request.Topics, t)
	return request
}

func fetch(topic string) kmsg.Request {
	request := kmsg.NewPtrFetchRequest()
	request.ReplicaID, request.SessionEpoch, request.MaxBytes = -1, -1, 1<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	t.Partitions = append(t.Partitions, p)
	request.Topics = append(request.Topics, t)
	return request
}

func joinGroup(group string) kmsg.Request {
	request := kmsg.NewPtrJoinGroupRequest()
	request.Group, request.ProtocolType, request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = group, "consumer", 10_000, 10_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "range"
	request.Protocols = append(request.Protocols, protocol)
	return request
}

func deleteGroup(group string) kmsg.Request {
	request := kmsg.NewPtrDeleteGroupsRequest()
	request.Groups = []string{group}
	return request
}

func createTopic(topic string) kmsg.Request {
	request := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 1, 1
	request.Topics = append(request.Topics, t)
	return request
}

func deleteTopic(topic string) kmsg.Request {
	request := kmsg.NewPtrDeleteTopicsRequest()
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = &topic
	request.Topics = append(request.Topics, t)
	return request
}

func alterTopic(topic string) kmsg.Request {
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	config, value := kmsg.NewIncrementalAlterConfigsRequestResourceConfig(), "1000"
	config.Name, config.Value = "retention.ms", &value
	resource.Configs = append(resource.Configs, config)
	request.Resources = append(request.Resources, resource)
	return request
}

func describeACLs() kmsg.Request {
	request := kmsg.NewPtrDescribeACLsRequest()
	request.ResourceType, request.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	request.Operation, request.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	return request
}

func deletePassword(user string) kmsg.Request {
	request := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	deletion := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
	deletion.Name, deletion.Mechanism = user, 2 // SCRAM-SHA-512
	request.Deletions = append(request.Deletions, deletion)
	return request
}
