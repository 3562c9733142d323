package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
)

// fakeToken is a TokenSource with one token.
type fakeToken string

func (f fakeToken) Token(context.Context) (string, error) { return string(f), nil }

// numbered is a TokenSource that makes the next token when one was refused.
type numbered struct {
	mu      sync.Mutex
	n       int
	refused []string
}

func (s *numbered) Token(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint("token-", s.n), nil
}

func (s *numbered) Forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.refused = append(s.refused, token)
}

// failing is a TokenSource without a token.
type failing struct{ err error }

func (f failing) Token(context.Context) (string, error) { return "", f.err }

// hanging is a TokenSource that never answers.
type hanging struct{}

func (hanging) Token(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func TestEveryMessageCarriesTheToken(t *testing.T) {
	seen := make(chan string, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("aeg-event-type") + " " + r.Header.Get("Authorization")
		w.Header().Set("WebHook-Allowed-Origin", "*")
	})
	c := newTestClient(t, Options{})
	h := handshake(url)
	h.Token = fakeToken("abc.def")
	for want, do := range map[string]func() error{
		"Notification Bearer abc.def": func() error {
			return newTestTarget(t, c, TargetOptions{URL: url, Token: h.Token}).Deliver(t.Context(), notification()).Err
		},
		" Bearer abc.def": func() error {
			_, err := c.HandshakeCloudEvents(t.Context(), h)
			return err
		},
		"SubscriptionValidation Bearer abc.def": func() error {
			_, err := c.HandshakeEventGrid(t.Context(), h)
			return err
		},
		"SubscriptionDeletion Bearer abc.def": func() error {
			return c.NotifyDeletion(t.Context(), Deletion{URL: url, Token: h.Token})
		},
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if diff := cmp.Diff(want, <-seen); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	}
}

func TestARefusedTokenIsForgotten(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	for _, late := range []func(){nil, func() {}} {
		s := &numbered{}
		d := newTestTarget(t, newTestClient(t, Options{}), TargetOptions{URL: url, Token: s})
		n := notification()
		n.Late = late
		if v := d.Deliver(t.Context(), n); v.Outcome != destination.Unauthorized || v.Status != 401 {
			t.Errorf("verdict = %+v, want Unauthorized", v)
		}
		if v := d.Deliver(t.Context(), n); v.Outcome != destination.Delivered {
			t.Errorf("with another token: verdict = %+v, want Delivered", v)
		}
		if diff := cmp.Diff([]string{"token-0"}, s.refused); diff != "" {
			t.Errorf("forgotten (-want +got):\n%s", diff)
		}
	}
	// A 401 without a token of ours is nobody's token's fault.
	d := newTestTarget(t, newTestClient(t, Options{}), TargetOptions{URL: url})
	if v := d.Deliver(t.Context(), notification()); v.Outcome != destination.Unauthorized {
		t.Errorf("without a token: verdict = %+v, want Unauthorized", v)
	}
}

func TestNothingIsSentWithoutAToken(t *testing.T) {
	var asked atomic.Bool
	url := serve(t, func(http.ResponseWriter, *http.Request) { asked.Store(true) })
	shown := &Error{Method: "POST", URL: "https://issuer.example/token", Reason: "the issuer answered 401: invalid_client"}
	for _, tt := range []struct {
		name   string
		source TokenSource
		text   string
	}{
		{"own error", failing{fmt.Errorf("wrapped: %w", shown)}, "the issuer answered 401: invalid_client"},
		{"other error", failing{errors.New("s3cret")}, "there is no token for the endpoint"},
		{"hangs", hanging{}, "there is no token for the endpoint"},
		{"empty", fakeToken(""), "there is no token for the endpoint"},
		{"two lines", fakeToken("s3cret\r\nX: y"), "there is no token for the endpoint"},
		{"endless", fakeToken(strings.Repeat("s3cret", maxToken)), "there is no token for the endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestClient(t, Options{Timeout: 50 * time.Millisecond, HandshakeTries: 2})
			v := newTestTarget(t, c, TargetOptions{URL: url, Token: tt.source}).Deliver(t.Context(), notification())
			if v.Outcome != destination.GenericError || !destination.WebHook.Policy(v.Outcome).Retry {
				t.Errorf("verdict = %+v, want GenericError, which is retried", v)
			}
			h := handshake(url)
			h.Token = tt.source
			_, err := c.HandshakeEventGrid(t.Context(), h)
			for _, err := range []error{v.Err, err} {
				if err == nil || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("error = %v, want %q and no secret", err, tt.text)
				}
			}
		})
	}
	t.Run("given up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d := newTestTarget(t, newTestClient(t, Options{}), TargetOptions{URL: url, Token: hanging{}})
		if v := d.Deliver(ctx, notify(stored(event.CloudEvents))); v.Outcome != destination.Aborted {
			t.Errorf("verdict = %+v, want Aborted", v)
		}
	})
	if asked.Load() {
		t.Error("a request was sent")
	}
}
