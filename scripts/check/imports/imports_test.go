package imports

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/todo/scripts/internal/golist"
)

const prefix = "example.com/todo/"

// domains lists each service's domain packages.
var domains = map[string][]string{
	"todo-service":         {"task", "account"},
	"notification-service": {"notify"},
	"stats-service":        {"stats"},
}

// shared lists the packages of a service that its adapters may import. Otherwise adapters must not import
// each other.
var shared = map[string][]string{
	"todo-service": {"coalesce", "contentcoding", "eventcodec", "listcache", "ratelimit"},
}

type pkg struct {
	ImportPath string
	Imports    []string // direct, outside tests
	Deps       []string // all, outside tests
}

func TestServicesImportOnlyLowerLayers(t *testing.T) {
	t.Parallel()
	for service, packages := range domains {
		inside := prefix + service + "/internal/"
		for _, p := range list(t, service) {
			for _, imported := range p.Imports {
				if !strings.HasPrefix(imported, prefix) || allowed(service, packages, p.ImportPath, imported) {
					continue
				}
				t.Errorf("%s must not import %s", p.ImportPath, imported)
			}
			for other := range domains {
				if i := slices.IndexFunc(p.Deps, within(prefix+other)); other != service && i >= 0 {
					t.Errorf("%s reaches %s: services never import each other", p.ImportPath, p.Deps[i])
				}
			}
		}
		for _, domain := range packages {
			if !slices.ContainsFunc(list(t, service), func(p pkg) bool { return p.ImportPath == inside+domain }) {
				t.Errorf("%s has no domain package %s: the check would check nothing", service, domain)
			}
		}
	}
}

// allowed reports whether a package of a service may import another package of this repository.
func allowed(service string, packages []string, from, to string) bool {
	inside := prefix + service + "/internal/"
	domain, _, isBelow := strings.Cut(strings.TrimPrefix(from, inside), "/")
	isDomain := slices.Contains(packages, domain)
	switch {
	case isDomain && !isBelow:
		return to == prefix+"platform/apperr"
	case isDomain: // contract tests of the domain's stores
		return to == inside+domain || to == prefix+"platform/apperr"
	case from == inside+"app":
		return true
	case strings.HasPrefix(from, inside) && slices.Contains(shared[service], strings.TrimPrefix(to, inside)):
		return true
	case strings.HasPrefix(from, inside):
		return !strings.HasPrefix(to, prefix+service+"/") || slices.Contains(packages, strings.TrimPrefix(to, inside)) || within(from)(to)
	case from == prefix+service+"/cmd/"+service:
		return to == inside+"app" || within(prefix+"platform/command")(to)
	default: // the other commands are clients and use the contracts only
		return !strings.HasPrefix(to, inside)
	}
}

func TestPlatformImportsNeitherContractsNorServices(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "platform") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, prefix) && !within(prefix+"platform")(dep) {
				t.Errorf("%s reaches %s", p.ImportPath, dep)
			}
		}
	}
}

func TestContractsImportOnlyTheProtobufAndGRPCRuntimes(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "contracts") {
		for _, imported := range p.Imports {
			host, _, _ := strings.Cut(imported, "/")
			standard := !strings.Contains(host, ".")
			if standard || within(prefix+"contracts")(imported) ||
				within("google.golang.org/protobuf")(imported) || within("google.golang.org/grpc")(imported) {
				continue
			}
			t.Errorf("%s must not import %s: contracts import the protobuf and gRPC runtimes only", p.ImportPath, imported)
		}
	}
}

// within matches a path and every path below it.
func within(path string) func(string) bool {
	return func(p string) bool { return p == path || strings.HasPrefix(p, path+"/") }
}

func list(t *testing.T, module string) []pkg {
	t.Helper()
	packages, err := golist.Packages[pkg](t.Context(), filepath.Join("..", "..", "..", module), nil, "-json=ImportPath,Imports,Deps", "./...")
	if err != nil {
		t.Fatal(err)
	}
	return packages
}
