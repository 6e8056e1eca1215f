package localca

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"
)

// verify returns the error of a TLS client or server that is shown the pair.
func verify(t *testing.T, files Files, shown Pair, host string, usage x509.ExtKeyUsage, now time.Time) error {
	t.Helper()
	pool, err := Pool(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(shown.Cert, shown.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func content(t *testing.T, paths ...string) (all string) {
	t.Helper()
	for _, path := range paths {
		read, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all += string(read)
	}
	return all
}

func ensureAt(t *testing.T, dir string, now time.Time) Files {
	t.Helper()
	files, err := Ensure(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPairsAreForThisMachineAndForOneUse(t *testing.T) {
	t.Parallel()
	now := time.Now()
	files := ensureAt(t, t.TempDir(), now)
	for name, c := range map[string]struct {
		pair  Pair
		host  string
		usage x509.ExtKeyUsage
		valid bool
	}{
		"the server by name":       {files.Server, "localhost", x509.ExtKeyUsageServerAuth, true},
		"the server by address":    {files.Server, "127.0.0.1", x509.ExtKeyUsageServerAuth, true},
		"the server by IPv6":       {files.Server, "::1", x509.ExtKeyUsageServerAuth, true},
		"the server, another host": {files.Server, "example.com", x509.ExtKeyUsageServerAuth, false},
		"the server as a client":   {files.Server, "", x509.ExtKeyUsageClientAuth, false},
		"the client":               {files.Client, "", x509.ExtKeyUsageClientAuth, true},
		"the client as a server":   {files.Client, "", x509.ExtKeyUsageServerAuth, false},
	} {
		if err := verify(t, files, c.pair, c.host, c.usage, now); (err == nil) != c.valid {
			t.Errorf("%s: %v, want valid %t", name, err, c.valid)
		}
	}
}

func TestPrivateKeysAreReadableByTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := ensureAt(t, dir, time.Now())
	for _, key := range []string{dir + "/ca.key", files.Server.Key, files.Client.Key} {
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", key, info.Mode(), err)
		}
	}
}

func TestCertificatesAreKeptUntilTheyAreAboutToExpire(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	files := ensureAt(t, dir, now)
	authority, pairs := content(t, files.CA), content(t, files.Server.Cert, files.Client.Cert)
	for _, step := range []struct {
		after              time.Duration
		authority, renewed bool
	}{
		{300 * 24 * time.Hour, false, false},
		{340 * 24 * time.Hour, false, true},
		{10 * 365 * 24 * time.Hour, true, true},
	} {
		later := now.Add(step.after)
		ensureAt(t, dir, later)
		newAuthority, newPairs := content(t, files.CA), content(t, files.Server.Cert, files.Client.Cert)
		if (newAuthority != authority) != step.authority || (newPairs != pairs) != step.renewed {
			t.Errorf("after %v: the authority is new: %t, the pairs are new: %t", step.after, newAuthority != authority, newPairs != pairs)
		}
		if err := verify(t, files, files.Server, "localhost", x509.ExtKeyUsageServerAuth, later.AddDate(0, 0, renewBefore-1)); err != nil {
			t.Errorf("%v later: %v", step.after, err)
		}
		authority, pairs = newAuthority, newPairs
	}
}

func TestFilesThatCannotBeUsedAreReplaced(t *testing.T) {
	t.Parallel()
	now := time.Now()
	another := ensureAt(t, t.TempDir(), now)
	for name, damage := range map[string]func(Files) error{
		"no key":            func(f Files) error { return os.Remove(f.Server.Key) },
		"half a file":       func(f Files) error { return os.Truncate(f.Server.Cert, 100) },
		"another key":       func(f Files) error { return os.Rename(f.Client.Key, f.Server.Key) },
		"another authority": func(f Files) error { return os.Rename(another.CA, f.CA) },
	} {
		dir := t.TempDir()
		files := ensureAt(t, dir, now)
		if err := damage(files); err != nil {
			t.Fatal(err)
		}
		if err := verify(t, ensureAt(t, dir, now), files.Server, "localhost", x509.ExtKeyUsageServerAuth, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
