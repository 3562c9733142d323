package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// fakeEnv makes the test binary play the program that bench starts; its value
// is how the server misbehaves.
const fakeEnv = "INTERTIE_BENCH_FAKE"

const (
	honest     = "honest"
	forgetful  = "forgetful"  // loses every 50th event
	repeating  = "repeating"  // delivers every 50th event twice
	refusing   = "refusing"   // answers 503
	unstarted  = "unstarted"  // ends before it is ready
	mute       = "mute"       // never gets ready
	stubborn   = "stubborn"   // ignores SIGTERM
	shortLived = "shortlived" // ends in the middle
)

func TestMain(m *testing.M) {
	if how := os.Getenv(fakeEnv); how != "" && len(os.Args) > 1 {
		if err := fakeProgram(how, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func fakeProgram(how string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flag := func(name string) string { return args[slices.Index(args, name)+1] }
	switch args[0] {
	case "serve":
		return fakeServer(ctx, how, flag("--data"))
	case "bench-baseline":
		return RunBaseline(ctx, BaselineOptions{Addr: flag("--addr"), Forward: flag("--forward"), Out: os.Stdout})
	default:
		return fmt.Errorf("unknown command %v", args)
	}
}

// fakeServer answers publishes at once and delivers them afterwards, to the
// address in the query.
func fakeServer(ctx context.Context, how, data string) error {
	if how == unstarted {
		return fmt.Errorf("the data folder is used by another process")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if how != mute {
		if err := os.MkdirAll(data, 0o700); err != nil {
			return err
		}
		b, err := json.Marshal(ready{URL: "https://127.0.0.1:1", HTTP: "http://" + ln.Addr().String(), PID: os.Getpid()})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(data, "run.json"), b, 0o600); err != nil {
			return err
		}
	}
	type delivery struct {
		to   string
		body []byte
	}
	queue := make(chan delivery, 2*inFlight)
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	for range 16 {
		wg.Go(func() {
			for d := range queue {
				resp, err := client.Post(d.to, "application/cloudevents+json", bytes.NewReader(d.body))
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	var seen atomic.Int64
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || how == refusing || r.Header.Get("aeg-sas-key") != "key" || r.Header.Get("aeg-channel-name") != "channel" {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		n := seen.Add(1)
		if how == shortLived && n == 100 {
			fmt.Fprintln(os.Stderr, "fatal: out of luck")
			os.Exit(3)
		}
		to := r.URL.Query().Get("to")
		if to == "" || how == forgetful && n%50 == 0 {
			return
		}
		queue <- delivery{to, body}
		if how == repeating && n%50 == 0 {
			queue <- delivery{to, body}
		}
	})}
	go func() {
		if how == stubborn {
			return
		}
		<-ctx.Done()
		_ = srv.Close()
	}()
	err = srv.Serve(ln)
	if how == stubborn {
		select {}
	}
	close(queue)
	wg.Wait()
	if err == http.ErrServerClosed { //nolint:errorlint // as the standard library documents it
		return nil
	}
	return err
}

// fakeSetup needs no management API: the fake server takes the webhook's
// address with each publish.
func fakeSetup(_ context.Context, t Target) (Endpoint, error) {
	q := url.Values{}
	for _, s := range t.Subscriptions {
		q.Set("to", s.URL)
	}
	return Endpoint{
		URL: t.HTTPURL + "/publish?" + q.Encode(), Key: "key",
		Header: map[string]string{"aeg-channel-name": "channel"},
	}, nil
}

// fakeOptions lets Run measure a fake server in a folder of its own.
func fakeOptions(t *testing.T, how string) Options {
	t.Helper()
	return Options{
		Setup: fakeSetup, Env: []string{fakeEnv + "=" + how}, TempDir: t.TempDir(),
		Duration: minDuration, Progress: t.Output(), Grace: time.Minute, // other packages' tests run beside this
	}
}

// assertClean fails when a run left a folder behind.
func assertClean(t *testing.T, o Options) {
	t.Helper()
	left, err := os.ReadDir(o.TempDir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
