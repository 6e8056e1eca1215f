package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
)

// IsFatal reports whether the error is about the settings or the topic, so that an
// operator has to change something. A topic that is missing may be created while the
// caller waits; see kafka.IsMissing.
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
	return IsStaleProducerID(err) || IsLeaderError(err) || IsAny(err,
		sarama.ErrInvalidMessage, // the checksum failed: the network changed bytes
		sarama.ErrUnknownTopicOrPartition, sarama.ErrRequestTimedOut, sarama.ErrNetworkException, sarama.ErrNotEnoughReplicas,
		sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrKafkaStorageError,
		sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress,
		// An operator may correct the credentials in the broker.
		sarama.ErrSASLAuthenticationFailed, sarama.ErrUnsupportedSASLMechanism)
}

// IsAny reports whether the error is one of the targets.
func IsAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

// IsLeaderError reports whether another broker leads the partition now.
func IsLeaderError(err error) bool {
	return IsAny(err, sarama.ErrNotLeaderForPartition, sarama.ErrLeaderNotAvailable, sarama.ErrReplicaNotAvailable,
		sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch, sarama.ErrOffsetNotAvailable)
}

// IsStaleProducerID reports whether Kafka no longer knows the producer's id or its
// sequence numbers. Kafka wrote nothing, and accepts the same batch under a new id.
func IsStaleProducerID(err error) bool {
	return IsAny(err, sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID,
		sarama.ErrInvalidProducerEpoch, sarama.ErrInvalidProducerIDMapping)
}

// IsConnectionError reports whether the error is about reaching Kafka.
func IsConnectionError(err error) bool {
	var network net.Error
	var call syscall.Errno
	return errors.As(err, &network) || errors.As(err, &call) ||
		IsAny(err, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.Canceled, context.DeadlineExceeded,
			sarama.ErrOutOfBrokers, sarama.ErrBrokerNotAvailable, sarama.ErrNotConnected, sarama.ErrClosedClient)
}

// Explain returns err with what to try, if it is about reaching Kafka.
func Explain(err error, cfg kafka.Config) error {
	err, explained := explainSecurity(err, cfg)
	if err == nil || explained || !IsConnectionError(err) {
		return err
	}
	if errors.Is(err, io.EOF) { // the broker has closed the connection
		return fmt.Errorf("%w: is Kafka running, and do kafka.tls, kafka.sasl_mechanism and the credentials fit the listener that %s names?", err, cfg.Sources.Name("brokers"))
	}
	return fmt.Errorf("%w: is Kafka running, and does the setting %s name it?", err, cfg.Sources.Name("brokers"))
}
