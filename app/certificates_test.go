package app

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Suites that encrypt and authenticate one after the other are not spoken.
func TestNoOldCipherSuites(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir, nil)
	for _, c := range []struct {
		suite uint16
		want  bool
	}{
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false},
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
	} {
		o := client(t, dir).Transport.(*http.Transport).TLSClientConfig.Clone()
		o.MaxVersion, o.CipherSuites = tls.VersionTLS12, []uint16{c.suite}
		conn, err := tls.Dial("tcp", a.listener.Addr().String(), o)
		if (err == nil) != c.want {
			t.Errorf("%s: %v", tls.CipherSuiteName(c.suite), err)
		}
		if err == nil {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestLostAuthorityIsSaid(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		lost    []string
		isNew   bool
		after   time.Duration
		warning []string // nil: none
	}{
		"nothing lost":               {},
		"only the certificate":       {lost: []string{"ca.pem"}, warning: []string{"ca.pem", "clients need nothing"}},
		"only the key":               {lost: []string{"ca-key.pem"}, warning: []string{"ca-key.pem", "restore"}},
		"both":                       {lost: []string{"ca.pem", "ca-key.pem"}, warning: []string{"ca.pem", "ca-key.pem", "new authority", "every client"}},
		"near its end":               {after: 3600 * 24 * time.Hour, warning: []string{"ca.pem", "new one", "every client"}},
		"a new folder":               {lost: []string{"ca.pem", "ca-key.pem"}, isNew: true},
		"a first start that was cut": {lost: []string{"ca.pem"}, isNew: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			now := start
			var log bytes.Buffer
			certs := func(established bool) *certificates {
				return &certificates{
					dir: dir, clock: steppedBy(func() time.Time { return now }), logger: slog.New(slog.NewTextHandler(&log, nil)),
					established: established, regions: make(map[string]bool),
				}
			}
			first := certs(false)
			if err := first.load(); err != nil {
				t.Fatal(err)
			}
			if log.Len() > 0 {
				t.Errorf("the first start says %s", &log)
			}
			lose := func() {
				for _, file := range tt.lost {
					if err := os.Remove(filepath.Join(dir, file)); err != nil {
						t.Fatal(err)
					}
				}
				log.Reset()
				now = start.Add(tt.after)
			}
			check := func(when string, want []string) {
				t.Helper()
				text := log.String()
				if lines := strings.Count(text, "level=WARN"); lines != min(len(want), 1) || strings.Count(text, "\n") != lines {
					t.Errorf("%s the log is: %s", when, text)
				}
				for _, w := range want {
					if !strings.Contains(text, w) {
						t.Errorf("%s the log does not say %q: %s", when, w, text)
					}
				}
			}
			lose()
			if err := certs(!tt.isNew).load(); err != nil {
				t.Fatal(err)
			}
			check("at the next start", tt.warning)
			if tt.isNew || tt.after > 0 || len(tt.lost) == 1 && tt.lost[0] == "ca-key.pem" {
				return // the first case has no more to lose, the others are as they were
			}
			lose()
			if err := first.load(); err != nil {
				t.Fatal(err)
			}
			check("while running,", tt.warning)
		})
	}
}
