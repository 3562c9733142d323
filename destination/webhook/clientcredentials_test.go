package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
)

// clock is a time that tests set.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.nanoseconds.Load()) }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

// issuer counts its requests and answers as it is told to.
type issuer struct {
	url      string
	asked    atomic.Int64
	body     atomic.Value // string; %d becomes the number of the request
	status   atomic.Int64
	lastForm atomic.Value // url.Values
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	s := &issuer{}
	s.answer(200, `{"token_type":"Bearer","expires_in":3600,"access_token":"token-%d"}`)
	s.url = serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := s.asked.Add(1)
		_ = r.ParseForm()
		s.lastForm.Store(r.PostForm)
		w.WriteHeader(int(s.status.Load()))
		body, _ := s.body.Load().(string)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "%d", fmt.Sprint(n)))
	})
	return s
}

func (s *issuer) answer(status int, body string) {
	s.status.Store(int64(status))
	s.body.Store(body)
}

// source returns a source that asks s.
func (s *issuer) source(t *testing.T, c *clock) TokenSource {
	t.Helper()
	return NewClientCredentials(ClientCredentials{
		TokenURL: s.url + "/tenant/oauth2/v2.0/token?x=s3cret", ClientID: "me", ClientSecret: "s3cret",
		Audience: "api://hook/", HTTP: newTestClient(t, Options{}).HTTP(), Now: c.now,
	})
}

// tokenOf asks for a token; "" stands for an error.
func tokenOf(t *testing.T, s TokenSource) string {
	t.Helper()
	token, err := s.Token(t.Context())
	if (err == nil) != (token != "") {
		t.Errorf("Token = %q, %v", token, err)
	}
	if err != nil && strings.Contains(fmt.Sprintf("%v %#v", err, err), "s3cret") {
		t.Errorf("the error gives the secret away: %v", err)
	}
	return token
}

func TestClientCredentialsRequest(t *testing.T) {
	s := newIssuer(t)
	tokenOf(t, s.source(t, &clock{}))
	want := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"me"}, "client_secret": {"s3cret"},
		"scope": {"api://hook/.default"},
	}
	if diff := cmp.Diff(want, s.lastForm.Load()); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	tokenOf(t, NewClientCredentials(ClientCredentials{
		TokenURL: s.url, ClientID: "me", ClientSecret: "s3cret", Scope: "hooks", More: map[string]string{"resource": "api://hook"},
		HTTP: newTestClient(t, Options{}).HTTP(),
	}))
	want["scope"], want["resource"] = []string{"hooks"}, []string{"api://hook"}
	if diff := cmp.Diff(want, s.lastForm.Load()); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
}

func TestTokensAreKeptUntilNearTheirEnd(t *testing.T) {
	for _, tt := range []struct {
		life string
		kept time.Duration
	}{
		{`3600`, 55 * time.Minute},
		{`"3600"`, 55 * time.Minute},
		{`86400`, 24*time.Hour - 5*time.Minute},
		{`600`, 9 * time.Minute},
		{`10`, 9 * time.Second},
		{`null`, 4*time.Minute + 30*time.Second},
		{`-1`, 4*time.Minute + 30*time.Second},
		{`1e99`, 4*time.Minute + 30*time.Second},
		{`9223372036854775807`, 24*time.Hour - 5*time.Minute},
	} {
		t.Run(tt.life, func(t *testing.T) {
			s, c := newIssuer(t), &clock{}
			s.answer(200, `{"access_token":"token-%d","expires_in":`+tt.life+`}`)
			source := s.source(t, c)
			for _, step := range []struct {
				wait time.Duration
				want string
			}{{0, "token-1"}, {tt.kept - 1, "token-1"}, {1, "token-2"}, {tt.kept - 1, "token-2"}, {1, "token-3"}} {
				c.advance(step.wait)
				if got := tokenOf(t, source); got != step.want {
					t.Errorf("after %s: token = %q, want %q", step.wait, got, step.want)
				}
			}
		})
	}
}

func TestIssuersFailures(t *testing.T) {
	const secretEcho = `{"error":"s3cret","error_description":"s3cret","access_token":""}`
	for _, tt := range []struct {
		name   string
		status int
		body   string
		text   string
	}{
		{"wrong secret", 401, `{"error":"invalid_client","error_description":"s3cret"}`, "the issuer answered 401: invalid_client"},
		{"unknown code", 400, secretEcho, "the issuer answered 400"},
		{"down", 503, "<html>s3cret", "the issuer answered 503"},
		{"redirect", 307, secretEcho, "the issuer answered 307"},
		{"garbage", 200, "s3cret", "the issuer's answer holds no token"},
		{"no token", 200, secretEcho, "the issuer's answer holds no token"},
		{"other type", 200, `{"access_token":["s3cret"]}`, "the issuer's answer holds no token"},
		{"endless", 200, `{"pad":"` + strings.Repeat("s3cret", maxToken) + `","access_token":"s3cret"}`, "the issuer's answer holds no token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := newIssuer(t), &clock{}
			s.answer(tt.status, tt.body)
			source := s.source(t, c)
			_, err := source.Token(t.Context())
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Reason != tt.text || e.Method != http.MethodPost || e.URL != s.url+"/tenant/oauth2/v2.0/token" || strings.Contains(err.Error(), "s3cret") {
				t.Fatalf("error = %#v, want %q", err, tt.text)
			}
			// It is left alone for a while, and then asked again.
			s.answer(200, `{"access_token":"token-%d"}`)
			c.advance(tokenRefusal - 1)
			if _, again := source.Token(t.Context()); !errors.Is(again, err) {
				t.Errorf("at once: error = %v, want the same", again)
			}
			c.advance(1)
			if got := tokenOf(t, source); got != "token-2" {
				t.Errorf("later: token = %q, want token-2", got)
			}
		})
	}
}

func TestTheIssuerIsAskedOnceAtATime(t *testing.T) {
	var asked atomic.Int64
	entered, release := make(chan struct{}, 100), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		entered <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `{"access_token":"x","expires_in":3600}`)
	})
	source := NewClientCredentials(ClientCredentials{TokenURL: url, HTTP: newTestClient(t, Options{}).HTTP()})

	// The first to ask gives up; the others are not disturbed.
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := source.Token(ctx)
		gaveUp <- err
	}()
	<-entered
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got := tokenOf(t, source); got != "x" {
				t.Errorf("token = %q, want x", got)
			}
		})
	}
	waiting, stop := context.WithCancel(t.Context())
	stop()
	if _, err := source.Token(waiting); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting without patience: %v, want context.Canceled", err)
	}
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who gave up got %v, want context.Canceled", err)
	}
	<-entered
	close(release)
	wg.Wait()
	if n := asked.Load(); n != 2 {
		t.Errorf("the issuer was asked %d times, want 2", n)
	}
}

func TestForgetDropsATokenOnce(t *testing.T) {
	s, c := newIssuer(t), &clock{}
	c.advance(time.Hour)
	source := s.source(t, c)
	want := func(token string) {
		t.Helper()
		if got := tokenOf(t, source); got != token {
			t.Errorf("token = %q, want %q", got, token)
		}
	}
	want("token-1")
	forget(source, "another")
	want("token-1")
	forget(source, "token-1")
	want("token-2")
	forget(source, "token-1") // an answer to an older request
	want("token-2")
	forget(source, "token-2") // the endpoint just dislikes us
	want("token-2")
	c.advance(tokenMargin)
	forget(source, "token-2")
	want("token-3")
}

func TestAnIssuerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open sync.WaitGroup
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			open.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
			return ours, nil
		}}
		defer open.Wait()
		defer transport.CloseIdleConnections()
		source := NewClientCredentials(ClientCredentials{TokenURL: "http://issuer.test/", HTTP: &http.Client{Transport: transport}})
		began := time.Now()
		_, err := source.Token(t.Context())
		e, ok := errors.AsType[*Error](err)
		if took := time.Since(began); !ok || e.Outcome != destination.TimedOut || took != tokenTimeout {
			t.Errorf("error = %v after %s, want TimedOut after %s", err, took, tokenTimeout)
		}
	})
}

func TestAnIssuerThatSwitchesProtocols(t *testing.T) {
	issuer := raw(t, switchProtocols)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for name, client := range map[string]*http.Client{
		"guarded": newTestClient(t, Options{}).HTTP(), "own": {Transport: transport},
	} {
		_, err := NewClientCredentials(ClientCredentials{TokenURL: issuer, HTTP: client}).Token(t.Context())
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != 101 {
			t.Errorf("%s: error = %v, want one about 101", name, err)
		}
	}
}

func TestIssuersOfStrangersAreGuarded(t *testing.T) {
	var asked atomic.Bool
	open := serve(t, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	c := NewClient(Options{})
	t.Cleanup(c.Close)
	for _, u := range []string{open, "https://127.0.0.1/token", "ftp://issuer.example/", "::", ""} {
		_, err := NewClientCredentials(ClientCredentials{TokenURL: u, ClientSecret: "s3cret", HTTP: c.HTTP()}).Token(t.Context())
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%q: error = %v, want an *Error", u, err)
		}
	}
	// Nor is a stranger's redirect followed, with the secret in its body.
	away := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, open, http.StatusTemporaryRedirect) })
	if _, err := NewClientCredentials(ClientCredentials{TokenURL: away, HTTP: newTestClient(t, Options{}).HTTP()}).Token(t.Context()); err == nil {
		t.Error("a redirect gave a token")
	}
	if asked.Load() {
		t.Error("a request was sent")
	}
}
