package pki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/pki"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func ensure(t *testing.T, dir string, names pki.Names, now time.Time) pki.Certs {
	t.Helper()
	c, err := pki.Ensure(dir, names, now, false)
	if err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return c
}

func leaf(t *testing.T, c pki.Certs) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatalf("load the pair: %v", err)
	}
	return pair.Leaf
}

func roots(t *testing.T, c pki.Certs) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(read(t, c.CAFile)) {
		t.Fatal("ca.pem holds no certificate")
	}
	return pool
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(t *testing.T, c pki.Certs, host string, at time.Time) error {
	t.Helper()
	_, err := leaf(t, c).Verify(x509.VerifyOptions{
		Roots: roots(t, c), DNSName: host, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

func TestNames(t *testing.T) {
	names := pki.Names{
		Hostname:      "Build-7",
		Extra:         []string{"grid.example", "*.wild.example", "192.0.2.7", "2001:DB8::1"},
		PublishDomain: "Events.Example.",
		Regions:       []string{"westeurope", "local"},
	}
	c := ensure(t, t.TempDir(), names, start)
	for _, host := range []string{
		"localhost", "127.0.0.1", "::1", "build-7", "grid.example", "a.wild.example", "192.0.2.7", "2001:db8::1",
		"events.example", "acme.westeurope-1.events.example", "acme.local-1.events.example",
	} {
		if err := verify(t, c, host, start); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"example.com", "acme.eastus-1.events.example", "a.b.wild.example", "192.0.2.8"} {
		if err := verify(t, c, host, start); err == nil {
			t.Errorf("%s: verified, though nobody asked for it", host)
		}
	}
}

func TestNamesRefused(t *testing.T) {
	for _, n := range []pki.Names{
		{Extra: []string{""}},
		{Extra: []string{"a..b"}},
		{Extra: []string{"*"}},
		{Extra: []string{"*.com.*"}},
		{Extra: []string{"-a.example"}},
		{Extra: []string{"sp ace"}},
		{Extra: []string{"fe80::1%eth0"}},
		{Extra: []string{strings.Repeat("a", 64) + ".example"}},
		{PublishDomain: "https://events.example"},
		{PublishDomain: "events.example", Regions: []string{"west europe"}},
	} {
		dir := filepath.Join(t.TempDir(), "none")
		if _, err := pki.Ensure(dir, n, start, false); err == nil {
			t.Errorf("%+v: accepted", n)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%+v: refused after the folder was made", n)
		}
	}
	// A machine whose own name fits no certificate still starts.
	ensure(t, t.TempDir(), pki.Names{Hostname: "not a name"}, start)
}

func TestFoundAgain(t *testing.T) {
	dir := t.TempDir()
	names := pki.Names{Hostname: "node", Extra: []string{"grid.example"}}
	c := ensure(t, dir, names, start)
	if c.Authority != pki.AuthorityMade {
		t.Errorf("the first authority: %v", c.Authority)
	}
	ca, cert, key := read(t, c.CAFile), read(t, c.CertFile), read(t, c.KeyFile)

	same := func(what string, now time.Time, names pki.Names) {
		t.Helper()
		ensure(t, dir, names, now)
		if !bytes.Equal(ca, read(t, c.CAFile)) || !bytes.Equal(cert, read(t, c.CertFile)) || !bytes.Equal(key, read(t, c.KeyFile)) {
			t.Errorf("%s: the certificates changed", what)
		}
	}
	same("at once", start, names)
	same("much later", start.Add(300*day), names)
	same("with fewer names", start, pki.Names{})
	same("with other casing", start, pki.Names{Hostname: "NODE", Extra: []string{"GRID.example."}})
}

func TestRenewal(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		names  pki.Names
		after  time.Duration
		newCA  bool
		found  pki.Authority
	}{
		{name: "near its end", after: (397 - 89) * day},
		{name: "after its end", after: 500 * day},
		{name: "issued in the future", after: -day, newCA: true, found: pki.AuthorityBackdated},
		{name: "a name is missing", names: pki.Names{Extra: []string{"new.example"}}},
		{name: "an address is missing", names: pki.Names{Extra: []string{"192.0.2.1"}}},
		{name: "the key is gone", change: remove("server-key.pem")},
		{name: "the certificate is gone", change: remove("server.pem")},
		{name: "the certificate is torn", change: truncate("server.pem")},
		{name: "the key is another's", change: foreignKey},
		{name: "the certificate is another authority's", change: foreignPair},
		{name: "the authority's copy is gone", change: remove("ca.pem"), found: pki.AuthorityCopied},
		{name: "the authority's copy is torn", change: truncate("ca.pem"), found: pki.AuthorityCopied},
		{name: "the authority's copy is empty", change: empty("ca.pem"), found: pki.AuthorityCopied},
		{name: "the authority is near its end", after: 3600 * day, newCA: true, found: pki.AuthorityReplaced},
		{name: "the authority is near its end and its key gone", change: remove("ca-key.pem"), after: 3600 * day, newCA: true, found: pki.AuthorityReplaced},
		{name: "the authority is gone", change: both(remove("ca.pem"), remove("ca-key.pem")), newCA: true, found: pki.AuthorityMade},
		{name: "what a crash left is beside it", change: crashed("ca.pem", "ca-key.pem", "server.pem", "server-key.pem"), after: 3600 * day, newCA: true, found: pki.AuthorityReplaced},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			before := ensure(t, dir, pki.Names{}, start)
			ca := read(t, before.CAFile)
			if tt.change != nil {
				tt.change(t, dir)
			}
			now := start.Add(tt.after)
			c := ensure(t, dir, tt.names, now)
			if c.Authority != tt.found {
				t.Errorf("the authority: %v, want %v", c.Authority, tt.found)
			}
			host := "localhost"
			if len(tt.names.Extra) > 0 {
				host = tt.names.Extra[0]
			}
			if err := verify(t, c, host, now); err != nil {
				t.Errorf("after renewal: %v", err)
			}
			if got := !bytes.Equal(ca, read(t, c.CAFile)); got != tt.newCA {
				t.Errorf("the authority changed: %v, want %v", got, tt.newCA)
			}
			if left := leaf(t, c).NotAfter.Sub(now); left < 89*day {
				t.Errorf("%v left after renewal", left)
			}
			pair := read(t, c.CertFile)
			if c := ensure(t, dir, tt.names, now); c.Authority != pki.AuthorityFound {
				t.Errorf("the next start finds the authority %v", c.Authority)
			}
			if !bytes.Equal(pair, read(t, c.CertFile)) {
				t.Error("the next start renews once more")
			}
			leftovers(t, dir)
		})
	}
}

func TestLostAuthorityKey(t *testing.T) {
	dir := t.TempDir()
	c := ensure(t, dir, pki.Names{}, start)
	remove("ca-key.pem")(t, dir)
	ca := read(t, c.CAFile)

	// Nothing has to be issued yet, and still it has to be known.
	if c := ensure(t, dir, pki.Names{}, start.Add(day)); c.Authority != pki.AuthorityWithoutKey || c.CAKeyFile != filepath.Join(dir, "ca-key.pem") {
		t.Errorf("%+v", c)
	}
	_, err := pki.Ensure(dir, pki.Names{Extra: []string{"new.example"}}, start, false)
	if err == nil || !strings.Contains(err.Error(), "ca-key.pem") {
		t.Fatalf("err = %v, want one that names ca-key.pem", err)
	}
	if !bytes.Equal(ca, read(t, c.CAFile)) {
		t.Error("the authority that clients trust was replaced")
	}
}

func TestTornAuthorityIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir, pki.Names{}, start)
	truncate("ca-key.pem")(t, dir)
	if _, err := pki.Ensure(dir, pki.Names{}, start, false); err == nil {
		t.Error("a torn authority was accepted or silently replaced")
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // file modes say nothing there
	}
	dir := filepath.Join(t.TempDir(), "data")
	ensure(t, dir, pki.Names{}, start)
	check := func(name string, want fs.FileMode) {
		t.Helper()
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	check("", 0o700)
	check("ca.pem", 0o644)
	check("ca-key.pem", 0o600)
	check("server.pem", 0o644)
	check("server-key.pem", 0o600)

	for _, name := range []string{"ca-key.pem", "server-key.pem"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, dir, pki.Names{}, start)
	check("ca-key.pem", 0o600)
	check("server-key.pem", 0o600)
}

func TestAuthorityShape(t *testing.T) {
	c := ensure(t, t.TempDir(), pki.Names{}, start)
	block, rest := pem.Decode(read(t, c.CAFile))
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		t.Fatal("ca.pem is not exactly one PEM block")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || !ca.MaxPathLenZero {
		t.Errorf("IsCA %v, MaxPathLenZero %v", ca.IsCA, ca.MaxPathLenZero)
	}
	if years := ca.NotAfter.Sub(start).Hours() / 24 / 365; years < 9.9 || years > 10.1 {
		t.Errorf("the authority lasts %.1f years", years)
	}
	if cert := leaf(t, c); cert.IsCA || cert.NotAfter.Sub(cert.NotBefore) > 398*day {
		t.Errorf("server certificate: IsCA %v, lasts %v", cert.IsCA, cert.NotAfter.Sub(cert.NotBefore))
	}
}

// TestHandshake lets a real TLS client check the chain.
func TestHandshake(t *testing.T) {
	c := ensure(t, t.TempDir(), pki.Names{}, time.Now())
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
		served <- err
	}()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", ln.Addr().String(), &tls.Config{RootCAs: roots(t, c), MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Errorf("dial: %v", err)
		_ = ln.Close()
	} else {
		_ = conn.Close()
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	_ = ln.Close()
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Ensure(filepath.Join(file, "data"), pki.Names{}, start, false); err == nil {
		t.Error("a folder below a file was accepted")
	}
}

func BenchmarkEnsureFirst(b *testing.B) {
	root := b.TempDir()
	for i := 0; b.Loop(); i++ {
		if _, err := pki.Ensure(filepath.Join(root, string(rune('a'+i%26)), time.Now().Format("150405.000000000")), pki.Names{}, start, false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEnsureAgain(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		if _, err := pki.Ensure(dir, pki.Names{}, start, false); err != nil {
			b.Fatal(err)
		}
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func truncate(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, name)
		b := read(t, path)
		if err := os.WriteFile(path, b[:len(b)/2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func empty(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Truncate(filepath.Join(dir, name), 0); err != nil {
			t.Fatal(err)
		}
	}
}

func both(one, two func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		one(t, dir)
		two(t, dir)
	}
}

// crashed leaves what a crash in the middle of writing leaves.
func crashed(names ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, "."+name+".tmp"), []byte("-----BEGIN"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func foreignKey(t *testing.T, dir string) {
	t.Helper()
	copyFrom(t, dir, "server-key.pem")
}

func foreignPair(t *testing.T, dir string) {
	t.Helper()
	copyFrom(t, dir, "server-key.pem", "server.pem")
}

func copyFrom(t *testing.T, dir string, names ...string) {
	t.Helper()
	other := t.TempDir()
	ensure(t, other, pki.Names{}, start)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), read(t, filepath.Join(other, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func leftovers(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 4 {
		t.Errorf("the folder holds %v, want the four certificate files", entries)
	}
}

// A clock that is far ahead costs nothing that clients trust, and what is issued
// meanwhile is good by the right clock too.
func TestDoubtedClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{
		"the server certificate is over": 500 * day, "the authority is near its end": 3600 * day, "the authority is over": 8000 * day,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ca := read(t, ensure(t, dir, pki.Names{}, start).CAFile)
			names := pki.Names{Extra: []string{"new.example"}}
			var pair []byte
			for range 2 {
				c, err := pki.Ensure(dir, names, start.Add(ahead), true)
				if err != nil || c.Authority != pki.AuthorityFound || !bytes.Equal(ca, read(t, c.CAFile)) {
					t.Fatalf("the authority: %v, %v", c.Authority, err)
				}
				if err := verify(t, c, "new.example", start); err != nil {
					t.Errorf("by the right clock: %v", err)
				}
				if err := verify(t, c, "new.example", start.Add(ahead)); err != nil && ahead < 3650*day {
					t.Errorf("by this clock: %v", err)
				}
				if pair != nil && !bytes.Equal(pair, read(t, c.CertFile)) {
					t.Error("issued again and again")
				}
				pair = read(t, c.CertFile)
			}
			c := ensure(t, dir, names, start.Add(ahead))
			if err := verify(t, c, "new.example", start.Add(ahead)); err != nil {
				t.Errorf("when it is believed: %v", err)
			}
			if life := leaf(t, c).NotAfter.Sub(leaf(t, c).NotBefore); life > 398*day {
				t.Errorf("a certificate for %v stays", life)
			}
		})
	}
	t.Run("the key is lost", func(t *testing.T) {
		dir := t.TempDir()
		ensure(t, dir, pki.Names{}, start)
		remove("ca-key.pem")(t, dir)
		if c, err := pki.Ensure(dir, pki.Names{}, start.Add(500*day), true); err != nil || c.Authority != pki.AuthorityWithoutKey {
			t.Errorf("%v, %v", c.Authority, err)
		}
	})
}

// An authority that a clock a year ahead has made is good now, and what it signs from
// then on also for who has its first certificate.
func TestAuthorityOfAClockAhead(t *testing.T) {
	dir := t.TempDir()
	c := ensure(t, dir, pki.Names{}, start.Add(365*day))
	first, end := roots(t, c), start.Add(365*day)
	if c = ensure(t, dir, pki.Names{}, start); c.Authority != pki.AuthorityBackdated {
		t.Errorf("the authority: %v", c.Authority)
	}
	if err := verify(t, c, "localhost", start); err != nil {
		t.Error(err)
	}
	_, err := leaf(t, c).Verify(x509.VerifyOptions{Roots: first, DNSName: "localhost", CurrentTime: end})
	if err != nil {
		t.Errorf("by the first certificate: %v", err)
	}
	if c = ensure(t, dir, pki.Names{}, start.Add(day)); c.Authority != pki.AuthorityFound {
		t.Errorf("the next start finds it %v", c.Authority)
	}
}
