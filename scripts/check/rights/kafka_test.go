package rights

import (
	"context"
	"crypto/tls"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/localca"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/toolchain"
)

// startKafka returns how each service reaches a Kafka of that kind with the rights of compose.
func startKafka(t *testing.T, kind string) map[string]*kgo.Client {
	t.Helper()
	e := newEnvironment(t, "kafka/acls.txt", todo, stats, notification)
	if kind == toolchain.KafkaApache {
		if found, err := e.tools.ChooseKafka(t.Context(), toolchain.KafkaBest); err != nil {
			t.Fatal(err)
		} else if found != kind {
			t.Skip("the real Kafka needs Java 17")
		}
	}
	part, err := e.tools.Kafka(t.Context(), kind, e.dir, server.KafkaListener{Port: e.ports[0], ControllerPort: e.ports[1], Security: e.security})
	if err != nil {
		t.Fatal(err)
	}
	e.start(t, part)
	operator := server.KafkaClient{Addr: port.Addr(e.ports[0]), Security: e.security}
	topics := append(server.ServiceTopics(1), server.Topic{Name: "other", Partitions: 1, MaxBytes: 1 << 20})
	if err := operator.EnsureTopics(t.Context(), topics...); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start
		if err := operator.EnsureRights(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pool, err := localca.Pool(e.security.CA)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]*kgo.Client{}
	for _, user := range e.security.Users {
		client, err := kgo.NewClient(
			kgo.SeedBrokers(operator.Addr), kgo.MaxVersions(kversion.V2_8_0()), // whose requests name topics
			kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}),
			kgo.SASL(scram.Auth{User: user.Name, Pass: user.Password}.AsSha512Mechanism()),
		)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		clients[user.Name] = client
	}
	return clients
}

// kafkaRequests are the requests that are permitted to some services, by what they do.
func kafkaRequests() map[string]struct {
	request  kmsg.Request
	services []string
} {
	type row = struct {
		request  kmsg.Request
		services []string
	}
	rows := map[string]row{
		"make an idempotent producer": {kmsg.NewPtrInitProducerIDRequest(), []string{todo, stats, notification}},
		"create a topic":              {createTopic("new"), nil},
		"delete a topic":              {deleteTopic(event.Topic), nil},
		"change a topic":              {alterTopic(event.Topic), nil},
		"list the ACLs":               {describeACLs(), nil},
		"delete a password":           {deletePassword(todo), nil},
	}
	for topic, services := range map[string]struct{ produce, fetch []string }{
		event.Topic:    {[]string{todo}, []string{stats, notification}},
		event.DLQTopic: {[]string{stats, notification}, nil},
		"other":        {nil, nil},
	} {
		rows["produce to "+topic] = row{produce(topic), services.produce}
		rows["fetch from "+topic] = row{fetch(topic), services.fetch}
	}
	for group, services := range map[string][]string{stats: {stats}, notification: {notification}, "other": nil} {
		rows["join the group "+group] = row{joinGroup(group), services}
		rows["delete the group "+group] = row{deleteGroup(group), nil}
	}
	return rows
}

func TestKafkaUserMayUseTheTopicsAndTheGroupOfItsService(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{toolchain.KafkaEmbedded, toolchain.KafkaApache} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			clients := startKafka(t, kind)
			for name, row := range kafkaRequests() {
				for service, client := range clients {
					code, err := send(t.Context(), client, row.request)
					if err != nil {
						t.Errorf("%s as %s: %v", name, service, err)
						continue
					}
					refused := slices.Contains([]int16{
						kerr.TopicAuthorizationFailed.Code, kerr.GroupAuthorizationFailed.Code, kerr.ClusterAuthorizationFailed.Code,
					}, code)
					if want := !slices.Contains(row.services, service); refused != want {
						t.Errorf("%s as %s: %v, want that it is refused: %t", name, service, kerr.ErrorForCode(code), want)
					}
				}
			}
		})
	}
}

// send returns the error code of the reply.
func send(ctx context.Context, client *kgo.Client, request kmsg.Request) (int16, error) {
	reply, err := client.SeedBrokers()[0].Request(ctx, request)
	if err != nil {
		return 0, err
	}
	switch reply := reply.(type) {
	case *kmsg.ProduceResponse:
		return reply.Topics[0].Partitions[0].ErrorCode, nil
	case *kmsg.FetchResponse:
		if len(reply.Topics) == 0 { // no error, and no records
			return reply.ErrorCode, nil
		}
		return reply.Topics[0].Partitions[0].ErrorCode, nil
	case *kmsg.JoinGroupResponse:
		return reply.ErrorCode, nil
	case *kmsg.DeleteGroupsResponse:
		return reply.Groups[0].ErrorCode, nil
	case *kmsg.InitProducerIDResponse:
		return reply.ErrorCode, nil
	case *kmsg.CreateTopicsResponse:
		return reply.Topics[0].ErrorCode, nil
	case *kmsg.DeleteTopicsResponse:
		return reply.Topics[0].ErrorCode, nil
	case *kmsg.IncrementalAlterConfigsResponse:
		return reply.Resources[0].ErrorCode, nil
	case *kmsg.DescribeACLsResponse:
		return reply.ErrorCode, nil
	case *kmsg.AlterUserSCRAMCredentialsResponse:
		return reply.Results[0].ErrorCode, nil
	}
	panic("a reply without a case")
}
