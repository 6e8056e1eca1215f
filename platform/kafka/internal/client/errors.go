package client

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
)

// IsFatal reports whether the error is about the settings or the topic, so that an
// operator has to change something.
func IsFatal(err error) bool {
	var topic *kafka.TopicError
	var misconfigured sarama.ConfigurationError
	return errors.As(err, &topic) || errors.As(err, &misconfigured)
}

// IsRetriable reports whether the same request may succeed later. Joined errors are
// retriable if each of them is.
func IsRetriable(err error) bool {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !IsRetriable(err) })
	}
	var refusal sarama.KError
	var unsendable sarama.PacketEncodingError
	var misconfigured sarama.ConfigurationError
	switch {
	case errors.As(err, &unsendable), errors.As(err, &misconfigured):
		return false
	case !errors.As(err, &refusal):
		return true // the error is about the connection
	}
	switch refusal {
	case sarama.ErrInvalidMessage, // the checksum failed: the network changed bytes
		sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition,
		sarama.ErrRequestTimedOut, sarama.ErrNetworkException, sarama.ErrNotEnoughReplicas,
		sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrKafkaStorageError, sarama.ErrFencedLeaderEpoch,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrReplicaNotAvailable, sarama.ErrOffsetNotAvailable,
		sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress:
		return true
	default:
		return IsStaleProducerID(err)
	}
}

// IsStaleProducerID reports whether Kafka no longer knows the producer's id or its
// sequence numbers. Kafka wrote nothing, and accepts the same batch under a new id.
func IsStaleProducerID(err error) bool {
	return errors.Is(err, sarama.ErrOutOfOrderSequenceNumber) || errors.Is(err, sarama.ErrUnknownProducerID) ||
		errors.Is(err, sarama.ErrInvalidProducerEpoch) || errors.Is(err, sarama.ErrInvalidProducerIDMapping)
}

// IsConnectionError reports whether the error is about reaching Kafka.
func IsConnectionError(err error) bool {
	var network net.Error
	var call syscall.Errno
	return errors.As(err, &network) || errors.As(err, &call) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sarama.ErrOutOfBrokers) || errors.Is(err, sarama.ErrBrokerNotAvailable) ||
		errors.Is(err, sarama.ErrNotConnected) || errors.Is(err, sarama.ErrClosedClient)
}
