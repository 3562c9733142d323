package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/internal/process"
	"github.com/intertie/intertie/pki"
)

// TestOwnCertificate: whoever sources admin.env reaches a server that has a certificate
// of somebody else's, and everybody else as before.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	corp, err := pki.Ensure(t.TempDir(), pki.Names{}, time.Now(), false)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(corp.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)

	s := newServer(t, "--tls-cert", corp.CertFile, "--tls-key", corp.KeyFile)
	s.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	vars := func() map[string]string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(s.dir, "admin.env"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := armclient.ParseEnv(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	// reaches runs a client that has sourced admin.env.
	reaches := func(more ...string) {
		t.Helper()
		cmd := process.Command(binary, "principal", "list")
		for name, value := range vars() {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		cmd.Env = append(cmd.Env, more...)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "admin") {
			t.Errorf("principal list: %v\n%s", err, out)
		}
	}

	s.start(t)
	got := vars()
	trust := got["SSL_CERT_FILE"]
	text, err := os.ReadFile(trust)
	if err != nil || got["REQUESTS_CA_BUNDLE"] != trust || got["NODE_EXTRA_CA_CERTS"] != trust {
		t.Fatalf("%v: %v", err, got)
	}
	if ours, err := os.ReadFile(filepath.Join(s.dir, "ca.pem")); err != nil || bytes.Contains(text, bytes.TrimSpace(ours)) {
		t.Errorf("clients are told to trust our authority, which they need not: %v", err)
	}
	if system, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt"); err == nil && !bytes.HasPrefix(text, bytes.TrimSpace(system)) {
		t.Error("clients lose the roots of the system")
	}
	reaches()
	s.stop(t)

	// A shell that has sourced admin.env and starts the server again.
	again := func() {
		t.Helper()
		s.env = []string{"SSL_CERT_FILE=" + trust, "REQUESTS_CA_BUNDLE=" + trust}
		s.start(t)
		if after, err := os.ReadFile(vars()["SSL_CERT_FILE"]); err != nil || !bytes.Equal(after, text) {
			t.Errorf("clients are told to trust %d bytes instead of %d: %v", len(after), len(text), err)
		}
		reaches()
		s.stop(t)
	}
	again()

	// The same server where the system knows the authority.
	t.Run("of a known authority", func(t *testing.T) {
		s.env = []string{"SSL_CERT_FILE=" + corp.CAFile}
		s.start(t)
		if got := vars(); got["SSL_CERT_FILE"] != "" || got["REQUESTS_CA_BUNDLE"] != "" || got["NODE_EXTRA_CA_CERTS"] != "" {
			t.Errorf("clients are told to trust something: %v", got)
		}
		reaches("SSL_CERT_FILE=" + corp.CAFile)
		s.stop(t)
	})

	// And back to one of ours.
	s.env, s.args, s.http = nil, nil, nil
	s.start(t)
	reaches()
	if trust = vars()["SSL_CERT_FILE"]; trust == "" {
		t.Fatal("clients are told to trust nothing")
	}
	if text, err = os.ReadFile(trust); err != nil {
		t.Fatal(err)
	}
	s.stop(t)
	again()
}
