package cluster_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/intertie/intertie/engine/cluster"
)

func TestServersThatCannotServe(t *testing.T) {
	small := startServer(t, func(o *server.Options) { o.MaxPayload = 1 << 20 })
	without := startServer(t, func(o *server.Options) { o.JetStream = false })
	for url, part := range map[string]string{
		"nats://me:secret@127.0.0.1:1": "127.0.0.1:1",
		small.ClientURL():              "max_payload",
		without.ClientURL():            "JetStream",
	} {
		_, err := cluster.Open(t.Context(), cluster.Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]cluster.Options{
		"nowhere":    {},
		"descending": {URL: "x", Tiers: []time.Duration{2 * time.Second, time.Second}},
		"too fine":   {URL: "x", Tiers: []time.Duration{time.Microsecond}},
		"ack wait":   {URL: "x", AckWait: time.Millisecond},
		"replicas":   {URL: "x", Replicas: 6},
		"markers":    {URL: "x", KeepMarkers: time.Millisecond},
	} {
		if _, err := cluster.Open(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "cluster: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Streams of another format are left as they are.
func TestOtherFormatsAreRefused(t *testing.T) {
	for format, want := range map[string]string{"": "older version", "1": "older version", "9": "newer version"} {
		s := startServer(t)
		c := jetstream.StreamConfig{Name: "INTERTIE_STATE", Subjects: []string{"theirs"}, Metadata: map[string]string{"intertie-format": format}}
		if format == "" {
			c.Metadata = nil
		}
		if _, err := peer(t, s).CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Open(t.Context(), options(s))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("format %q: got %v", format, err)
		}
	}
}

// lines takes what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Whether servers sync is seen by those who may ask the system account.
func TestSyncIsSeenWhereItCanBe(t *testing.T) {
	const imports = `imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ"}}]`
	for _, c := range []struct{ name, sync, imports, want string }{
		{"always", "always", imports, ""},
		{"lazy", "2m", imports, "level=WARN"},
		{"unseen", "2m", "", "level=INFO"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "nats.conf")
			err := os.WriteFile(file, fmt.Appendf(nil, `
				server_name: lazybones
				jetstream { store_dir: %q, sync_interval: "%s" }
				accounts {
					SYS { users: [{user: sys, password: sys}], exports: [{service: "$SYS.REQ.SERVER.PING.JSZ", response: stream}] }
					APP { jetstream: enabled, users: [{user: app, password: app}], %s }
				}
				system_account: SYS`, t.TempDir(), c.sync, c.imports), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			s := startServer(t, func(o *server.Options) {
				conf := &server.Options{}
				if err := conf.ProcessConfigFile(file); err != nil {
					t.Fatal(err)
				}
				conf.Host, conf.Port, conf.MaxPayload, conf.NoSigs, conf.NoLog = o.Host, o.Port, o.MaxPayload, true, true
				*o = *conf
			})
			var log lines
			o := options(s)
			o.URL = strings.Replace(o.URL, "nats://", "nats://app:app@", 1)
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			e := open(t, o)
			if c.want == "" {
				if lazy, asked, err := e.LazyServers(t.Context()); err != nil || asked != 1 || len(lazy) > 0 {
					t.Errorf("%v of %d, %v", lazy, asked, err)
				}
				return
			}
			eventually(t, "a word about sync", func() bool { return strings.Contains(log.String(), "sync_interval: always") })
			if line := log.String(); !strings.Contains(line, c.want) || strings.Contains(line, "lazybones") != (c.want == "level=WARN") {
				t.Errorf("said %s", line)
			}
		})
	}
}

func TestUnreachableWhileTheServersAreAway(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	if err := e.Reachable(); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	s.WaitForShutdown()
	deadline := time.Now().Add(10 * time.Second)
	for e.Reachable() == nil {
		if time.Now().After(deadline) {
			t.Fatal("the servers are away, and it can be reached")
		}
		runtime.Gosched()
	}
	select {
	case <-e.Failed():
		t.Errorf("it has failed for good: %v", e.Err())
	default:
	}
}

func TestAPasswordIsInNoError(t *testing.T) {
	for _, url := range []string{"nats://me:s3cret@127.0.0.1:x", "nats://me:s3cret@127.0.0.1:1", "nats://me:s3cret %@host"} {
		_, err := cluster.Open(t.Context(), cluster.Options{URL: url})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}

func TestFailedWhenTheConnectionIsGoneForGood(t *testing.T) {
	s := startServer(t)
	e := open(t, options(s))
	e.CutOff()
	within(t, e.Failed(), "the engine to fail")
	if err := e.Err(); err == nil {
		t.Error("no reason")
	}
	if err := e.Append(t.Context(), []byte("r"), 1); err == nil {
		t.Error("an append succeeded")
	}
}
