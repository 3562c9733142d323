package e2e

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// attempt is one request to an endpoint that fails by a script.
type attempt struct {
	came, answered time.Time
	count          string // aeg-delivery-count
	system         string // aeg-output-event-id
}

// attempts keeps what came to the endpoints of a receiver.
type attempts struct {
	mu sync.Mutex
	by map[string][]attempt
}

func (a *attempts) of(path string) []attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.by[path])
}

// follow makes an endpoint answer by a script, the n-th attempt by its n-th line,
// and 200 after the last one.
func (a *attempts) follow(hook *receiver, path string, script ...http.HandlerFunc) {
	hook.answer(path, func(w http.ResponseWriter, r *http.Request) {
		at := attempt{came: time.Now(), count: r.Header.Get("Aeg-Delivery-Count"), system: r.Header.Get("Aeg-Output-Event-Id")}
		a.mu.Lock()
		n := len(a.by[path])
		if a.by == nil {
			a.by = map[string][]attempt{}
		}
		a.by[path] = append(a.by[path], at)
		a.mu.Unlock()
		defer func() { // also when the script breaks the connection
			a.mu.Lock()
			a.by[path][n].answered = time.Now()
			a.mu.Unlock()
		}()
		if n < len(script) {
			script[n](w, r)
		}
	})
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// reset breaks the connection without an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// TestLateSuccess has an endpoint answer 200 after the half minute that an
// attempt has: the retry that waits is left out. Another, which never answers,
// shows when it would have come.
func TestLateSuccess(t *testing.T) {
	t.Parallel() // it waits for a time-out of half a minute
	s := serve(t, "--retry-schedule", "4s")
	hook := receive(t)
	d := shop(t, s)
	topic := d.openTopic(t, "orders", gridInput)
	hang := func(r *http.Request, ends time.Duration) {
		select {
		case <-hook.ended:
		case <-r.Context().Done():
		case <-time.After(ends):
		}
	}
	var seen attempts
	seen.follow(hook, "/late", func(_ http.ResponseWriter, r *http.Request) { hang(r, 31*time.Second) })
	seen.follow(hook, "/never", func(_ http.ResponseWriter, r *http.Request) { hang(r, time.Hour) })
	for _, name := range []string{"late", "never"} {
		d.subscribeAt(t, topic.id, name, webhook(hook.URL+"/"+name))
	}
	topic.mustPublish(t, gridEvent("one", "{}"), nil)
	until(t, time.Minute, "the endpoint that never answered is asked again", func() bool { return len(seen.of("/never")) == 2 })
	after(t.Context(), 2*time.Second) // the other was due within a fifth of 4 s
	if got := seen.of("/late"); len(got) != 1 {
		t.Errorf("the endpoint that answered late was asked %d times", len(got))
	}
	got := seen.of("/never")
	if waited := got[1].came.Sub(got[0].came); waited < 34*time.Second {
		t.Errorf("the endpoint that never answered was asked again after %s", waited)
	}
	a := d.call(t, "POST", topic.id+"/eventSubscriptions/late/getDeliveryStatus", "")
	state := fields(t, a.body)
	if diff := cmp.Diff([]any{"Closed", 0.0}, []any{state["circuit"], state["queuedEvents"]}); diff != "" {
		t.Errorf("%s in %s", diff, a.body)
	}
}

// tolerance is how late an attempt may be on a machine that runs other tests. A
// tenth of the delay belongs to the schedule.
const tolerance = 3 * time.Second

// TestRetrySchedule counts the attempts of endpoints that fail by a script and
// measures the time between them: never early.
func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	s := serve(t, "--retry-schedule", "400ms,800ms,1200ms")
	hook := receive(t)
	d := shop(t, s)
	topic := d.openTopic(t, "orders", gridInput)
	// The waits that an outcome asks for shrink as the first delay does: 10 s
	// are 400 ms here.
	const ms = time.Millisecond
	var seen attempts
	cases := []struct {
		path   string
		script []http.HandlerFunc
		delays []time.Duration // at least
	}{
		{"/errors", []http.HandlerFunc{status(500), status(502), status(301), status(418), status(500)}, []time.Duration{400 * ms, 800 * ms, 1200 * ms, 1200 * ms, 1200 * ms}},
		{"/busy", []http.HandlerFunc{status(503), status(503)}, []time.Duration{1200 * ms, 1200 * ms}},
		{"/throttled", []http.HandlerFunc{status(429), status(503, "Retry-After", "3"), status(429, "Retry-After", "2")}, []time.Duration{400 * ms, 3 * time.Second, 2 * time.Second}},
		{"/reset", []http.HandlerFunc{reset, reset}, []time.Duration{1200 * ms, 1200 * ms}},
		{"/slow-to-wait", []http.HandlerFunc{status(408)}, []time.Duration{4800 * ms}},
		{"/fine", nil, nil},
		{"/bad", []http.HandlerFunc{status(400), status(400)}, nil},
		{"/strange", []http.HandlerFunc{status(206)}, []time.Duration{400 * ms}},
	}
	// A request that fails on a connection kept from an earlier one is sent again
	// at once, and counts once. Here no connection is kept.
	fresh := receive(t)
	fresh.Config.SetKeepAlivesEnabled(false)
	for _, c := range cases {
		at := hook
		if c.path == "/reset" {
			at = fresh
		}
		seen.follow(at, c.path, c.script...)
		d.subscribeAt(t, topic.id, strings.Trim(c.path, "/"), webhook(at.URL+c.path))
	}
	topic.mustPublish(t, gridEvent("one", "{}"), nil)
	for _, c := range cases {
		until(t, 40*time.Second, "all attempts of "+c.path, func() bool {
			got := seen.of(c.path)
			return len(got) > len(c.delays) && !got[len(c.delays)].answered.IsZero()
		})
	}
	after(t.Context(), 1500*ms) // whoever tries once more than it should does it now
	for _, c := range cases {
		got := seen.of(c.path)
		if len(got) != len(c.delays)+1 {
			t.Errorf("%s: %d attempts, want %d", c.path, len(got), len(c.delays)+1)
			continue
		}
		for n, a := range got {
			if want := string(rune('0' + n)); a.count != want || a.system != got[0].system || a.system == "" {
				t.Errorf("%s: attempt %d says it is %s of event %s", c.path, n, a.count, a.system)
			}
			if n == 0 {
				continue
			}
			waited, least := a.came.Sub(got[n-1].answered), c.delays[n-1]
			t.Logf("%s: attempt %d after %s, of %s", c.path, n, waited.Round(ms), least)
			if waited < least || waited > least+least/10+tolerance {
				t.Errorf("%s: attempt %d came %s after the one before, want at least %s", c.path, n, waited, least)
			}
		}
	}
}

// TestRetriesSurviveRestart stops the server between two attempts: the count
// goes on, and the attempt comes no earlier than it was due.
func TestRetriesSurviveRestart(t *testing.T) {
	t.Parallel()
	s := serve(t, "--retry-schedule", "5s")
	hook := receive(t)
	d := shop(t, s)
	topic := d.openTopic(t, "orders", gridInput)
	var seen attempts
	seen.follow(hook, "/orders", status(500))
	d.subscribeAt(t, topic.id, "to-erp", webhook(hook.URL+"/orders"))
	topic.mustPublish(t, gridEvent("one", "{}"), nil)
	until(t, 10*time.Second, "the first attempt", func() bool { return len(seen.of("/orders")) == 1 })
	after(t.Context(), time.Second) // who crashes at once may have nothing written down, and repeats
	s.kill(t)
	s.start(t)
	until(t, 30*time.Second, "the second attempt", func() bool { return len(seen.of("/orders")) == 2 })
	got := seen.of("/orders")
	waited := got[1].came.Sub(got[0].answered)
	if waited < 5*time.Second || got[1].system != got[0].system {
		t.Errorf("the second attempt came after %s, with system id %s after %s", waited, got[1].system, got[0].system)
	}
	if got[1].count != "1" {
		t.Errorf("the second attempt says %s", got[1].count)
	}
}
