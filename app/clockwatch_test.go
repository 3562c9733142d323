package app

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// openFolder opens the resources of a server that has stopped.
func openFolder(t *testing.T, dir string, do func(*store.Store)) {
	t.Helper()
	e, err := local.Open(t.Context(), local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	key, err := store.LoadMasterKey(filepath.Join(dir, masterKeyName), false)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := store.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), store.Options{Engine: e, Sealer: sealer, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	do(st)
}

func TestOneStartWithAClockFarAhead(t *testing.T) {
	dir := t.TempDir()
	stop(t, start(t, dir, nil))
	openFolder(t, dir, func(st *store.Store) { put(t, st, waiting(t, "channel", time.Now().Add(7*24*time.Hour))) })
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}

	get := func(a *App, path string) string {
		t.Helper()
		resp, err := client(t, dir).Get(a.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %v", path, resp.Status, err)
		}
		return string(body)
	}
	for _, run := range []struct {
		ahead   time.Duration
		doubted bool
	}{{9*365*24*time.Hour + 300*24*time.Hour, true}, {0, false}, {20 * 365 * 24 * time.Hour, true}, {20 * 365 * 24 * time.Hour, true}, {0, false}} {
		var log bytes.Buffer
		o := DefaultOptions()
		o.Data, o.Listen, o.Logger = dir, "127.0.0.1:0", slog.New(slog.NewTextHandler(&log, nil))
		a, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		a.clock.read = func() (time.Time, time.Time) { now := time.Now(); return now, now.Round(0).Add(run.ahead) }
		if err := a.Start(t.Context()); err != nil {
			t.Error(err)
		}
		get(a, "/readyz")
		gauge := map[bool]string{true: "intertie_clock_doubted 1", false: "intertie_clock_doubted 0"}[run.doubted]
		if !strings.Contains(get(a, "/metrics"), gauge) {
			t.Errorf("%v ahead: the metrics do not say %s", run.ahead, gauge)
		}
		stop(t, a)
		warned := strings.Contains(log.String(), `level=WARN msg="the clock is far ahead`)
		if warned != run.doubted || strings.Count(log.String(), "level=WARN") > 1 {
			t.Errorf("%v ahead: the log is:\n%s", run.ahead, &log)
		}
		if now, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err != nil || !bytes.Equal(now, authority) {
			t.Errorf("%v ahead: the authority is another one: %v", run.ahead, err)
		}
		openFolder(t, dir, func(st *store.Store) {
			if len(st.List(eventgrid.TypePartnerTopic, resource.ID{})) != 1 {
				t.Errorf("%v ahead: the partner topic that nobody activated is gone", run.ahead)
			}
		})
	}
}

func TestTheTimeIsRecordedUnlessItIsDoubted(t *testing.T) {
	st := openStores(t, 1)[0]
	begin := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	reading := time.Now()
	passed, ahead, settled := time.Duration(0), time.Duration(0), 0
	var log bytes.Buffer
	watch := func() *clockWatch {
		c := &clock{read: func() (time.Time, time.Time) { return reading.Add(passed), begin.Add(passed + ahead) }}
		return &clockWatch{clock: c, store: st, logger: slog.New(slog.NewTextHandler(&log, nil)), settled: func() { settled++ }}
	}
	w := watch()
	recorded := func(when string, want time.Duration) {
		t.Helper()
		if got := lastSeen(st); !got.Equal(begin.Add(want)) {
			t.Errorf("%s: recorded %v, want %v", when, got, begin.Add(want))
		}
	}
	w.begin(t.Context())
	recorded("at first", 0)
	for _, s := range []struct {
		when          string
		passed, ahead time.Duration
		want          time.Duration
		lines         int
		settled       int
	}{
		{"too soon", 59 * time.Minute, 0, 0, 0, 0},
		{"an hour later", time.Hour, 0, time.Hour, 0, 0},
		{"set forward", 3 * time.Hour, 1000 * time.Hour, time.Hour, 1, 0},
		{"still", 3*time.Hour + 59*time.Minute, 1000 * time.Hour, time.Hour, 1, 0},
		{"believed", 4 * time.Hour, 1000 * time.Hour, 1004 * time.Hour, 2, 1},
		{"set back", 5 * time.Hour, 0, 5 * time.Hour, 2, 1}, // what was recorded was wrong
	} {
		passed, ahead = s.passed, s.ahead
		w.look(t.Context())
		recorded(s.when, s.want)
		if lines := strings.Count(log.String(), "\n"); lines != s.lines || settled != s.settled {
			t.Errorf("%s: %d lines, settled %d times:\n%s", s.when, lines, settled, &log)
		}
	}
	// Another start, or node, measures by it, and not by what a wrong clock wrote.
	put(t, st, &resource.Resource{ID: resource.GroupID("s", "late"), UID: resource.NewUID(), Type: resource.TypeGroup, ModifiedAt: begin.AddDate(9, 0, 0)})
	passed, ahead = 6*time.Hour, 48*time.Hour
	w = watch()
	if w.begin(t.Context()); !w.clock.Doubted() || !strings.Contains(log.String(), "last=2026-03-01T14:00:00") {
		t.Errorf("a start two days ahead: %s", &log)
	}
	// In a folder of before there is no record yet.
	err := st.Commit(t.Context(), func(tx resource.Tx) error {
		tx.Delete(clockID)
		tx.Delete(resource.GroupID("s", "late"))
		tx.Put(&resource.Resource{ID: resource.GroupID("s", "g"), UID: resource.NewUID(), Type: resource.TypeGroup, ModifiedAt: begin})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	recorded("what is newest", 0)
}
