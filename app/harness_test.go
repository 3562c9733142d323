package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a whole server on free ports in dir.
func start(t *testing.T, dir string, set func(*Options)) *App {
	t.Helper()
	o := DefaultOptions()
	o.Data, o.Listen = dir, "127.0.0.1:0"
	if set != nil {
		set(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, a) })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func stop(t *testing.T, a *App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if err := a.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// client trusts the local authority of one data folder and nobody else.
func client(t *testing.T, dir string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no authority in ca.pem")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// openEngine returns an engine on a new folder.
func openEngine(t testing.TB) *local.Engine {
	t.Helper()
	e, err := local.Open(t.Context(), local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// openStore returns a node on an engine.
func openStore(t testing.TB, e *local.Engine) *store.Store {
	t.Helper()
	sealer, err := store.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Engine: e, Sealer: sealer, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// openStores returns that many nodes on one engine.
func openStores(t *testing.T, n int) []*store.Store {
	t.Helper()
	e := openEngine(t)
	var out []*store.Store
	for range n {
		out = append(out, openStore(t, e))
	}
	return out
}
