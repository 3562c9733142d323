package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/intertie/intertie/armclient"
)

// signIn proves that the admin file of a folder works.
func signIn(t *testing.T, dir string) armclient.Credentials {
	t.Helper()
	creds, err := armclient.FromEnvFile(filepath.Join(dir, "admin.env"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := armclient.New(creds)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	subs, err := c.Subscriptions(t.Context())
	if err != nil || len(subs) != 1 {
		t.Fatalf("subscriptions %v, %v", subs, err)
	}
	return creds
}

func TestTwoServersInOneProcess(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	a := start(t, one, nil)
	b := start(t, two, func(o *Options) { o.ListenHTTP = "127.0.0.1:0" })
	if a.URL() == b.URL() || a.HTTPURL() != "" || !strings.HasPrefix(b.HTTPURL(), "http://127.0.0.1:") {
		t.Errorf("%s %s %s", a.URL(), b.URL(), b.HTTPURL())
	}
	if ca, cb := signIn(t, one), signIn(t, two); ca.ClientSecret == cb.ClientSecret || ca.BaseURL != a.URL() {
		t.Errorf("%+v %+v", ca, cb)
	}
	stop(t, a)
	signIn(t, two) // the other goes on
	for path, want := range map[string]int{"/readyz": 200, "/metrics": 200, "/healthz": 200, "/subscriptions": 401, "/nothing": 404} {
		resp, err := client(t, two).Get(b.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != want {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
		}
	}
}

func TestAFolderIsForOneServer(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, nil)
	before := read(t, filepath.Join(dir, "run.json"))
	o := DefaultOptions()
	o.Data, o.Listen = dir, "127.0.0.1:0"
	second, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	stop(t, second)
	if after := read(t, filepath.Join(dir, "run.json")); after != before {
		t.Errorf("the refused server touched the folder: %s", after)
	}
	signIn(t, dir)
}

func TestStopAndStartAgain(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir, nil)
	first := signIn(t, dir)
	var run struct {
		URL string
		PID int
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "run.json"))), &run); err != nil || run.URL != a.URL() || run.PID != os.Getpid() {
		t.Errorf("got %+v, %v", run, err)
	}
	stop(t, a)
	stop(t, a)
	select {
	case <-a.Done():
		t.Errorf("a stop counts as a failure: %v", a.Err())
	default:
	}
	if _, err := os.Stat(filepath.Join(dir, "run.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("run.json is left: %v", err)
	}
	b := start(t, dir, nil)
	second := signIn(t, dir)
	if first.ClientSecret != second.ClientSecret || first.ClientID != second.ClientID || first.Subscription != second.Subscription || second.BaseURL != b.URL() {
		t.Errorf("before %+v, after %+v", first, second)
	}
}

func TestALostAdminFileIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir, nil)
	path := filepath.Join(dir, "admin.env")
	first := signIn(t, dir)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	text := read(t, path)
	for _, name := range []string{
		"AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_SUBSCRIPTION_ID",
		"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "INTERTIE_URL", "INTERTIE_TENANT_ID",
	} {
		if !strings.Contains(text, "\nexport "+name+"=") {
			t.Errorf("no %s", name)
		}
	}
	stop(t, a)
	for name, spoil := range map[string]func() error{
		"lost": func() error { return os.Remove(path) },
		"changed": func() error {
			return os.WriteFile(path, []byte(strings.Replace(text, first.ClientSecret, "wrong", 1)), 0o600)
		},
		"garbage": func() error { return os.WriteFile(path, []byte("\x00"), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		a := start(t, dir, nil)
		if again := signIn(t, dir); again.ClientID != first.ClientID || again.ClientSecret == first.ClientSecret {
			t.Errorf("%s: %+v", name, again)
		}
		stop(t, a)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	taken := start(t, t.TempDir(), nil)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, set := range map[string]func(*Options){
		"port is in use":    func(o *Options) { o.Listen = strings.TrimPrefix(taken.URL(), "https://") },
		"cannot be created": func(o *Options) { o.Data = filepath.Join(file, "data") },
		"file":              func(o *Options) { o.MasterKeyFile = file },
		"such.pem":          func(o *Options) { o.WebhookCA = "/no/such.pem" },
		"certificate":       func(o *Options) { o.TLSCert, o.TLSKey = file, file },
	} {
		o := DefaultOptions()
		o.Data, o.Listen = t.TempDir(), "127.0.0.1:0"
		set(&o)
		a, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", want, err)
		}
		stop(t, a) // and leaves nothing running: see TestMain
	}
}

func TestAFailedPartIsReported(t *testing.T) {
	a, err := New(DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if a.URL() != "" || a.HTTPURL() != "" {
		t.Error("an address before Start")
	}
	a.supervise(t.Context(), "first", func(context.Context) error { return errors.New("broke") })
	<-a.Done()
	a.fail("second", errors.New("too"))
	if err := a.Err(); err == nil || err.Error() != "first: broke" {
		t.Errorf("got %v", err)
	}
	var order []string
	a.undo("x", func(context.Context) error { order = append(order, "x"); return errors.New("stuck") })
	a.undo("y", func(context.Context) error { order = append(order, "y"); return nil })
	err = a.Stop(t.Context())
	if err == nil || err.Error() != "x: stuck" || strings.Join(order, "") != "yx" {
		t.Errorf("got %v after %v", err, order)
	}
	if again := a.Stop(t.Context()); again != err || len(order) != 2 { //nolint:errorlint // the very same
		t.Errorf("the second Stop: %v, %v", again, order)
	}
}

// TestAStartEndsWithItsStorage: what a start waits for then may never come.
func TestAStartEndsWithItsStorage(t *testing.T) {
	a, err := New(DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	a.fail("storage", fmt.Errorf("%w: broke", ErrStorage))
	if err := a.await(make(chan error)); !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), "broke") {
		t.Errorf("got %v", err)
	}
	if a, err = New(DefaultOptions()); err != nil {
		t.Fatal(err)
	}
	a.fail("another part", errors.New("broke"))
	started := make(chan error, 1)
	started <- nil
	if err := a.await(started); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestStopIsBounded(t *testing.T) {
	a, err := New(DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	a.supervise(t.Context(), "stuck", func(context.Context) error { <-release; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Stop(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("got %v", err)
	}
	close(release)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// With another key the stored secrets would stay closed for ever, and quietly.
func TestALostMasterKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	stop(t, start(t, dir, nil))
	path := filepath.Join(dir, "master.key")
	key := read(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions()
	o.Data, o.Listen = dir, "127.0.0.1:0"
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	stop(t, a)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a new key was written: %v", err)
	}
	if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir, nil)
	signIn(t, dir)
}
