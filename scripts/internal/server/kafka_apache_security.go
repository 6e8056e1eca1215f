package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeSettings writes the node's settings and, with Security, its keys.
func (k ApacheKafka) writeSettings() error {
	// The settings have the operator's password.
	errs := []error{os.WriteFile(k.propertiesPath(), []byte(k.propertiesText()), 0o600)}
	if k.Security != nil {
		text, err := k.Security.keyAndCert()
		errs = append(errs, err, os.WriteFile(k.keystorePath(), []byte(text), 0o600))
	}
	return errors.Join(errs...)
}

func (k ApacheKafka) keystorePath() string { return filepath.Join(k.Dir, "keystore.pem") }

// securityProperties are settings that override those of a node in plain text. The node itself signs in as the
// operator.
func (k ApacheKafka) securityProperties() []string {
	if k.Security == nil {
		return nil
	}
	const modules = "org.apache.kafka.common.security."
	operator := k.Security.Operator
	plain := fmt.Sprintf(`.plain.sasl.jaas.config=%splain.PlainLoginModule required username="%s" password="%s" user_%s="%s";`,
		modules, operator.Name, operator.Password, operator.Name, operator.Password)
	return []string{
		"listener.security.protocol.map=BROKER:SASL_SSL,CONTROLLER:SASL_SSL",
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + k.keystorePath(),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + k.Security.CA,
		"listener.name.broker.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
		"listener.name.controller.sasl.enabled.mechanisms=PLAIN",
		"sasl.mechanism.inter.broker.protocol=PLAIN",
		"sasl.mechanism.controller.protocol=PLAIN",
		"listener.name.broker" + plain,
		"listener.name.controller" + plain,
		"listener.name.broker.scram-sha-512.sasl.jaas.config=" + modules + "scram.ScramLoginModule required;",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:" + operator.Name,
	}
}
