package app

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intertie/intertie/armclient"
)

// topicPath makes a topic and returns the path of its endpoint.
func topicPath(t *testing.T, dir string) string {
	t.Helper()
	c, err := armclient.New(signIn(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	subs, err := c.Subscriptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	group, err := c.EnsureGroup(t.Context(), subs[0].ID, "rg", "westeurope")
	if err != nil {
		t.Fatal(err)
	}
	var topic struct {
		Properties struct{ Endpoint string }
	}
	in := map[string]any{"location": "westeurope"}
	if err := c.Put(t.Context(), group+"/providers/Microsoft.EventGrid/topics/orders", "2022-06-15", in, &topic); err != nil {
		t.Fatal(err)
	}
	endpoint, err := url.Parse(topic.Properties.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.Path
}

// A server that is to stop says so for a moment before nobody can reach it.
func TestAStopIsAnnounced(t *testing.T) {
	dir := t.TempDir()
	a := start(t, dir, func(o *Options) { o.StopGrace, o.ListenHTTP = 4*time.Second, "127.0.0.1:0" })
	c := client(t, dir)
	path := topicPath(t, dir)
	answerOf := func(method, url string) (status int, retryAfter string) {
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("[]"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	if status, _ := answerOf("GET", a.URL()+"/readyz"); status != 200 {
		t.Fatalf("ready: %d", status)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(context.WithoutCancel(t.Context())) }()
	deadline := time.Now().Add(3 * time.Second)
	for {
		status, _ := answerOf("GET", a.URL()+"/readyz")
		if status == http.StatusServiceUnavailable {
			break
		}
		if status != 200 || time.Now().After(deadline) {
			t.Fatalf("/readyz answers %d", status)
		}
	}
	for _, base := range []string{a.URL(), a.HTTPURL()} {
		for { // until both say so: readiness goes first
			status, after := answerOf("POST", base+path)
			if status == http.StatusServiceUnavailable && after != "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: a publish is answered %d, Retry-After %q", base, status, after)
			}
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	resp, err := c.Get(a.URL() + "/readyz") //nolint:noctx // a refused connection
	if err == nil {
		t.Errorf("after the stop it answers %s", resp.Status)
		_ = resp.Body.Close()
	}
}

// What waits in vain does not take the time of the steps after it.
func TestAStepThatHangsIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := New(DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		var after time.Duration
		begun := time.Now()
		a.undo("delivery", func(ctx context.Context) error {
			after = time.Since(begun)
			<-ctx.Done()
			return nil
		})
		a.unhurried()
		release := make(chan struct{})
		a.supervise(t.Context(), "deployments", func(context.Context) error { <-release; return nil })
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		err = a.Stop(ctx)
		if err == nil || !strings.Contains(err.Error(), "deployments: it did not end within 5s") || errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); after != stepLimit || took != 30*time.Second {
			t.Errorf("delivery began to stop after %v, and had until %v", after, took)
		}
		close(release)
	})
}
