// Package deploy renders the Kubernetes manifests of the services and of the whole system, and checks them against
// the services and the picture of the system. It needs no Kubernetes.
package deploy
