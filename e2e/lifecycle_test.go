package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFirstStart measures what a first user waits for, and looks at what the
// data folder promises.
func TestFirstStart(t *testing.T) {
	s := newServer(t)
	t.Logf("ready %s after the first start", s.start(t).Round(time.Millisecond))
	info, err := os.Stat(filepath.Join(s.dir, "admin.env"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin.env: %v %v", info, err)
	}
	first := s.admin(t)
	t.Logf("ended %s after SIGTERM", s.stop(t).Round(time.Millisecond))
	t.Logf("ready %s after the second start", s.start(t).Round(time.Millisecond))
	if diff := cmp.Diff(first, s.admin(t)); diff != "" {
		t.Errorf("the admin is another one after a restart:\n%s", diff)
	}
	if _, err := operator(t, s).Subscriptions(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDrain stops the server in the middle of its work: it exits well, and what
// it had accepted has arrived or arrives after the next start.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	refused := make(chan struct{}, 1)
	hook.answer("/orders", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		refused <- struct{}{}
	})
	p := publisherOf(t, partner, "orders")
	if ok, err := p.publish(t.Context(), "waits-for-retry"); !ok {
		t.Fatal(err)
	}
	<-refused
	hook.slow("/orders", 20*time.Millisecond)
	ids, stopPublishing := publishUntilStopped(t, p, "drain")
	until(t, 10*time.Second, "some events are accepted", func() bool { return len(ids()) > 500 })
	took := s.stop(t)
	hook.answer("/orders", nil)
	stopPublishing()
	accepted := append(ids(), "waits-for-retry")
	t.Logf("stopped in %s: %d accepted, %d arrived by then", took.Round(time.Millisecond), len(accepted), len(hook.byID("/orders")))
	if _, err := os.Stat(filepath.Join(s.dir, "run.json")); err == nil {
		t.Error("run.json is still there")
	}
	s.start(t)
	until(t, time.Minute, "all events arrive", func() bool { return hook.hasAll("/orders", accepted) })
}

// TestDrainWithEndpointThatHangs stops the server while attempts have no answer
// yet. It waits for them, not for ever, and loses nothing.
func TestDrainWithEndpointThatHangs(t *testing.T) {
	t.Parallel() // it waits for a time-out of half a minute
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	connect(t, partner, customer, "orders", hook.URL+"/orders")
	asked := hook.hang("/orders")
	p := publisherOf(t, partner, "orders")
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprint("e", i))
	}
	if ok, err := p.publish(t.Context(), ids...); !ok {
		t.Fatal(err)
	}
	until(t, 10*time.Second, "an attempt is under way", func() bool { return asked.Load() > 0 })
	t.Logf("stopped in %s", s.stop(t).Round(time.Millisecond))
	hook.answer("/orders", nil)
	s.start(t)
	until(t, time.Minute, "all events arrive", func() bool { return hook.hasAll("/orders", ids) })
}

// TestDrainDuringHandshake stops the server while an endpoint is asked for its
// consent: nobody who asks or is asked keeps it from ending well.
func TestDrainDuringHandshake(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	partner, customer := pair(t, s)
	if err := partner.putChannel(t, customer, "orders"); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 8)
	hook.consent("/orders", func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-hook.ended:
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := customer.NewPartnerTopicEventSubscriptionsClient().BeginCreateOrUpdate(t.Context(), customer.group, "orders", "to-erp", webhook(hook.URL+"/orders"), nil)
		if err == nil {
			t.Error("an endpoint that did not answer has consented")
		}
	}()
	<-asked
	t.Logf("stopped in %s", s.stop(t).Round(time.Millisecond))
	<-ended
}

// TestRefusals starts servers that cannot start: one line says why, the exit
// code is not 0, and nothing is damaged.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	t.Run("folder in use", func(t *testing.T) {
		second := newServer(t)
		second.dir = s.dir
		wantLine(t, second, 1, "another process is using it")
		if !s.ready() {
			t.Error("the first server is not ready any more")
		}
	})
	t.Run("port in use", func(t *testing.T) {
		second := newServer(t)
		second.start(t)
		admin := second.admin(t)
		second.stop(t)
		free := second.listen
		second.listen = s.listen
		wantLine(t, second, 1, "port is in use")
		second.listen = free
		second.start(t)
		if diff := cmp.Diff(admin, second.admin(t)); diff != "" {
			t.Errorf("the folder has another admin:\n%s", diff)
		}
	})
	t.Run("no folder can be made", func(t *testing.T) {
		second := newServer(t)
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		second.dir = filepath.Join(file, "data")
		wantLine(t, second, 1, "data folder", file)
		if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
			t.Errorf("the file holds %q, %v", text, err)
		}
	})
	t.Run("folder of a newer version", func(t *testing.T) {
		second := newServer(t)
		second.start(t)
		second.stop(t)
		if err := os.WriteFile(filepath.Join(second.dir, "format"), []byte("99\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := fingerprint(t, second.dir)
		wantLine(t, second, 1, "newer version", "99")
		if diff := cmp.Diff(before, fingerprint(t, second.dir)); diff != "" {
			t.Errorf("the folder has changed:\n%s", diff)
		}
	})
	t.Run("unknown key", func(t *testing.T) {
		second := newServer(t)
		config := filepath.Join(t.TempDir(), "intertie.yaml")
		if err := os.WriteFile(config, []byte("publish-domain: example.com\nlistenHttp: 127.0.0.1:0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		second.args = []string{"--config", config}
		wantLine(t, second, 2, "line 2", `unknown key "listenHttp"`, "listen-http")
		if _, err := os.Stat(second.dir); err == nil {
			t.Error("the folder was made")
		}
	})
	t.Run("a key that does not fit", func(t *testing.T) {
		second := newServer(t)
		second.start(t)
		second.stop(t)
		key := filepath.Join(second.dir, "master.key")
		good, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		wantLine(t, second, 1, "master key")
		if err := os.WriteFile(key, good, 0o600); err != nil {
			t.Fatal(err)
		}
		second.start(t)
	})
}

func wantLine(t *testing.T, s *server, code int, parts ...string) {
	t.Helper()
	got, line := s.refuse(t)
	t.Log(strings.TrimSpace(line))
	if got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	for _, p := range parts {
		if !strings.Contains(line, p) {
			t.Errorf("the line does not say %q", p)
		}
	}
}

// fingerprint hashes every file of a folder.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out[path] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
