package probe

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// ResetOffsets sets the committed offsets of a group without running members to the topic's
// beginning. It removes static members first: the broker refuses commits from outside while they
// belong to the group.
func (p *Probe) ResetOffsets(group string) error {
	err := p.withClient(func(client sarama.Client) error { return resetOffsets(client, group) })
	if err != nil {
		return fmt.Errorf("reset offsets of group %s: %w", group, err)
	}
	return nil
}

func resetOffsets(client sarama.Client, group string) error {
	if err := removeStaticMembers(client, group); err != nil {
		return err
	}
	partitions, err := client.Partitions(topic)
	if err != nil {
		return err
	}
	coordinator, err := client.Coordinator(group)
	if err != nil {
		return err
	}
	request := &sarama.OffsetCommitRequest{
		Version: 2, ConsumerGroup: group, ConsumerGroupGeneration: sarama.GroupGenerationUndefined, RetentionTime: -1,
	}
	for _, partition := range partitions {
		request.AddBlock(topic, partition, 0, 0, "")
	}
	response, err := coordinator.CommitOffset(request)
	if err != nil {
		return err
	}
	var failed []error
	for _, byPartition := range response.Errors {
		for _, err := range byPartition {
			if err != sarama.ErrNoError {
				failed = append(failed, err)
			}
		}
	}
	return errors.Join(failed...)
}

func removeStaticMembers(client sarama.Client, group string) error {
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	described, err := admin.DescribeConsumerGroups([]string{group})
	if err != nil {
		return err
	}
	var static []string
	for _, member := range described[0].Members {
		if member.GroupInstanceId != nil {
			static = append(static, *member.GroupInstanceId)
		}
	}
	if len(static) == 0 {
		return nil
	}
	_, err = admin.RemoveMemberFromConsumerGroup(group, static)
	return err
}
