package engine_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/engine"
)

func TestMain(m *testing.M) {
	if os.Getenv("INTERTIE_TEST_HANGS") != "" {
		os.Exit(m.Run()) // what hangs leaks
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, o engine.Options) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), o)
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

func TestWhatWasAcknowledgedIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	e := open(t, engine.Options{Dir: dir})
	if _, err := e.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.JetStream().Publish(t.Context(), "a", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := open(t, engine.Options{Dir: dir}).JetStream().Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil || string(m.Data) != "kept" {
		t.Fatalf("got %v, %v", m, err)
	}
}

func TestEmbeddedServerTakesLargeMessages(t *testing.T) {
	e := open(t, engine.Options{Dir: t.TempDir()})
	if got := e.Conn().MaxPayload(); got != 8<<20 {
		t.Errorf("max payload %d", got)
	}
	if e.Replicas() != 1 {
		t.Errorf("replicas %d", e.Replicas())
	}
}

func TestSecondOpenOfAFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, engine.Options{Dir: dir})
	_, err := engine.Open(t.Context(), engine.Options{Dir: dir})
	oneLine(t, err, dir, "another process")
	if !errors.Is(err, engine.ErrInUse) {
		t.Errorf("not ErrInUse: %v", err)
	}
}

func TestNewerFolderIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "format"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := engine.Open(t.Context(), engine.Options{Dir: dir})
	oneLine(t, err, dir, "newer")
	if !errors.Is(err, engine.ErrNewerFormat) {
		t.Errorf("not ErrNewerFormat: %v", err)
	}
	if diff := cmp.Diff([]string{"format"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestUnreadableFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "format"), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := engine.Open(t.Context(), engine.Options{Dir: dir})
	oneLine(t, err, dir, "format")
}

func TestUnusableFolderIsOneClearLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := engine.Open(t.Context(), engine.Options{Dir: filepath.Join(file, "data")})
	oneLine(t, err, file)

	// A folder where the lock file cannot be created, for root too.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = engine.Open(t.Context(), engine.Options{Dir: dir})
	oneLine(t, err, dir, "not writable")
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]engine.Options{
		"nowhere":           {},
		"replicas alone":    {Dir: "x", Replicas: 3},
		"too many replicas": {URL: "nats://127.0.0.1:1", Replicas: 9},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine.Open(t.Context(), o)
			oneLine(t, err)
			if _, err := os.Stat("x"); !errors.Is(err, fs.ErrNotExist) {
				t.Error("folder was created")
			}
		})
	}
}

func TestExternalServer(t *testing.T) {
	url := external(t, 8<<20, true)
	e := open(t, engine.Options{URL: url, Dir: t.TempDir()})
	if _, err := e.JetStream().AccountInfo(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExternalServerThatCannotServe(t *testing.T) {
	_, err := engine.Open(t.Context(), engine.Options{URL: "nats://me:secret@127.0.0.1:1"})
	oneLine(t, err, "127.0.0.1:1")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("password in %q", err)
	}
	_, err = engine.Open(t.Context(), engine.Options{URL: external(t, 1<<20, true)})
	oneLine(t, err, "max_payload")
	_, err = engine.Open(t.Context(), engine.Options{URL: external(t, 8<<20, false)})
	oneLine(t, err, "JetStream")
}

// external runs a NATS server on a free loopback port and returns its URL.
func external(t *testing.T, payload int32, jetStream bool) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, MaxPayload: payload,
		JetStream: jetStream, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s.ClientURL()
}

func oneLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q does not mention %q", err, p)
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	return got
}
