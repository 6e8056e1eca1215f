package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// scramIterations is Kafka's default.
const scramIterations = 4096

// EnsureRights gives the users their passwords and the rights that Rules lists, and no other rights. It does nothing
// without Security.
func (k KafkaClient) EnsureRights(ctx context.Context) error {
	if k.Security == nil {
		return nil
	}
	rules, err := k.Security.kafkaRules()
	if err != nil {
		return err
	}
	return k.withAdmin(ctx, func(admin sarama.ClusterAdmin) error {
		var passwords []sarama.AlterUserScramCredentialsUpsert
		for _, user := range k.Security.Users {
			passwords = append(passwords, sarama.AlterUserScramCredentialsUpsert{
				Name: user.Name, Mechanism: userMechanism, Iterations: scramIterations, Salt: []byte(rand.Text()), Password: []byte(user.Password),
			})
		}
		results, err := admin.UpsertUserScramCredentials(passwords)
		if err != nil {
			return fmt.Errorf("passwords of Kafka's users: %w", err)
		}
		for _, result := range results {
			if !errors.Is(result.ErrorCode, sarama.ErrNoError) {
				return fmt.Errorf("password of Kafka's user %s: %w", result.User, result.ErrorCode)
			}
		}
		return replaceRules(admin, rules)
	})
}

// replaceRules makes the rules those of the cluster: first it creates them, then it deletes all others.
func replaceRules(admin sarama.ClusterAdmin, rules []*sarama.ResourceAcls) error {
	if err := admin.CreateACLs(rules); err != nil {
		return fmt.Errorf("create Kafka's ACLs: %w", err)
	}
	found, err := admin.ListAcls(sarama.AclFilter{
		Version: 1, ResourceType: sarama.AclResourceAny, ResourcePatternTypeFilter: sarama.AclPatternAny,
		Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny,
	})
	if err != nil {
		return fmt.Errorf("list Kafka's ACLs: %w", err)
	}
	for _, of := range found {
		for _, acl := range of.Acls {
			if isListed(rules, of.Resource, *acl) {
				continue
			}
			_, err := admin.DeleteACL(sarama.AclFilter{
				Version: 1, ResourceType: of.ResourceType, ResourceName: &of.ResourceName, ResourcePatternTypeFilter: of.ResourcePatternType,
				Principal: &acl.Principal, Host: &acl.Host, Operation: acl.Operation, PermissionType: acl.PermissionType,
			}, false)
			if err != nil {
				return fmt.Errorf("delete one of Kafka's ACLs: %w", err)
			}
		}
	}
	return nil
}

func isListed(rules []*sarama.ResourceAcls, resource sarama.Resource, acl sarama.Acl) bool {
	return slices.ContainsFunc(rules, func(rule *sarama.ResourceAcls) bool {
		return rule.Resource == resource && slices.ContainsFunc(rule.Acls, func(listed *sarama.Acl) bool { return *listed == acl })
	})
}

// kafkaRules returns the rights that Rules lists: user, kind of the resource, its name, operations.
func (s *Security) kafkaRules() ([]*sarama.ResourceAcls, error) {
	var rules []*sarama.ResourceAcls
	err := s.readRules(func(fields []string) error {
		if len(fields) < 4 {
			return errors.New("want user, kind, name and operations")
		}
		rule := &sarama.ResourceAcls{Resource: sarama.Resource{ResourceName: fields[2], ResourcePatternType: sarama.AclPatternLiteral}}
		if err := rule.ResourceType.UnmarshalText([]byte(fields[1])); err != nil {
			return err
		}
		for _, operation := range fields[3:] {
			acl := &sarama.Acl{Principal: "User:" + fields[0], Host: "*", PermissionType: sarama.AclPermissionAllow}
			if err := acl.Operation.UnmarshalText([]byte(operation)); err != nil {
				return err
			}
			rule.Acls = append(rule.Acls, acl)
		}
		rules = append(rules, rule)
		return nil
	})
	return rules, err
}
