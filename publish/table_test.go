package publish

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

func TestTable(t *testing.T) {
	var table Table
	if table.lookup("a.r-1") != nil {
		t.Error("the empty table has something")
	}
	first := &Source{UID: resource.NewUID(), Name: "A", Region: "R"}
	second := &Source{UID: resource.NewUID(), Name: "a", Region: "r"} // created anew under the name
	other := &Source{UID: resource.NewUID(), Name: "b", Region: "r"}
	renamed := &Source{UID: other.UID, Name: "c", Region: "r"}
	check := func(step, key string, want *Source) {
		t.Helper()
		if got := table.lookup(key); got != want {
			t.Errorf("%s: %s is %v, want %v", step, key, got, want)
		}
	}
	table.Set(first)
	table.Set(other)
	check("set", "a.r-1", first)
	check("set", "b.r-1", other)
	table.Set(second)
	check("created anew", "a.r-1", second)
	table.Remove(first.UID)
	check("former removed late", "a.r-1", second)
	table.Set(renamed)
	check("moved", "b.r-1", nil)
	check("moved", "c.r-1", renamed)
	table.Remove(second.UID)
	check("removed", "a.r-1", nil)
	check("neighbour", "c.r-1", renamed)
}

// What a management call changes holds for the next request.
func TestTableChangesTakeEffectAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	rotated := *f.src
	rotated.Keys = []string{key2}
	for _, step := range []struct {
		change func()
		status int
	}{
		{func() {}, 200},
		{func() { f.Table.Set(&rotated) }, 401},
		{func() { f.Table.Set(f.src) }, 200},
		{func() { f.Table.Remove(f.src.UID) }, 404},
		{func() { f.Table.Set(f.src) }, 200},
		{f.Drain, 503},
	} {
		step.change()
		if a := f.send(t, one, nil); a.status != step.status {
			t.Errorf("%d %s, want %d", a.status, a.body, step.status)
		}
	}
	if a := f.send(t, "", func(r *http.Request) { r.Method = http.MethodOptions }); a.status != 200 {
		t.Errorf("OPTIONS while draining: %d", a.status)
	}
}

func TestThrottle(t *testing.T) {
	many := func(n int, topic byte) (es []eventlog.Entry) {
		for range n {
			es = append(es, entry(topic)) // of ten bytes each
		}
		return es
	}
	inDomain := func(es []eventlog.Entry) []eventlog.Entry {
		for i := range es {
			es[i].Domain = resource.UID{9}
		}
		return es
	}
	type step struct {
		entries     []eventlog.Entry
		after, wait time.Duration
	}
	for _, tt := range []struct {
		name  string
		t     *Throttle
		steps []step
	}{
		{"events", &Throttle{Events: 10}, []step{
			{many(10, 1), 0, 0},
			{many(1, 1), 0, 100 * time.Millisecond},
			{many(10, 2), 0, 0}, // another topic has its own
			{many(1, 1), 100 * time.Millisecond, 0},
			{many(5, 1), 100 * time.Millisecond, 400 * time.Millisecond},
			{many(5, 1), 400 * time.Millisecond, 0},
			{append(many(1, 3), many(10, 1)...), 0, time.Second},
			{many(10, 3), 0, 0},         // what was refused took nothing
			{many(25, 1), time.Hour, 0}, // more than there can ever be: once it is full
			{many(1, 1), 0, 1600 * time.Millisecond},
			{many(25, 1), time.Second, 1500 * time.Millisecond},
			{many(25, 1), 1500 * time.Millisecond, 0},
		}},
		{"bytes", &Throttle{Bytes: 100}, []step{
			{many(10, 1), 0, 0},
			{many(2, 1), 0, 200 * time.Millisecond},
			{many(2, 1), 200 * time.Millisecond, 0},
			{many(30, 1), time.Second, 0},
			{many(1, 1), 2 * time.Second, 100 * time.Millisecond},
		}},
		{"topics of a domain together", &Throttle{Events: 10}, []step{
			{inDomain(append(many(5, 1), many(5, 2)...)), 0, 0},
			{inDomain(many(1, 3)), 0, 100 * time.Millisecond},
			{many(10, 3), 0, 0},                     // the same topic without the domain counts by itself
			{many(1, 9), 0, 100 * time.Millisecond}, // as does the domain
		}},
		{"off", &Throttle{}, []step{{many(1000, 1), 0, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := now
			for i, s := range tt.steps {
				at = at.Add(s.after)
				wait, ok := tt.t.take(s.entries, at)
				if wait.Round(time.Millisecond) != s.wait || ok != (s.wait == 0) {
					t.Errorf("step %d: wait %v, ok %v; want %v", i, wait, ok, s.wait)
				}
			}
		})
	}
}

// usedUp gives a handler a throttle of which nothing is left for a source.
func usedUp(h *Handler, s *Source) {
	h.Throttle = &Throttle{Events: 1}
	taken := []eventlog.Entry{{Topic: s.UID}}
	s.Channels.each(func(c *Channel) { taken = append(taken, eventlog.Entry{Topic: c.Topic}) })
	h.Throttle.take(taken, now)
}

// A request of more events than a second's worth is not refused for ever: it passes
// when nothing else did for a second.
func TestALargeRequestIsOnlyDelayed(t *testing.T) {
	at := now
	f := newFixture(t, func(h *Handler, _ *Source) {
		h.Throttle = &Throttle{Events: 2}
		h.Now = func() time.Time { return at }
	})
	large := events("/a", "/a", "/a", "/a", "/a")
	if a := f.send(t, one, nil); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a := f.send(t, large, nil)
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != 429 || err != nil {
		t.Fatalf("%d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	at = at.Add(time.Duration(wait) * time.Second)
	if a := f.send(t, large, nil); a.status != 200 {
		t.Errorf("after the time it was told: %d %s", a.status, a.body)
	}
	if a := f.send(t, one, nil); a.status != 429 {
		t.Errorf("right behind it: %d", a.status)
	}
}

// Topics that are idle leave nothing behind.
func TestThrottleForgetsIdleTopics(t *testing.T) {
	th := &Throttle{Events: 1}
	at := now
	for i := range 3 * sweepAt {
		at = at.Add(time.Millisecond)
		e := entry(0)
		e.Topic = resource.UID{byte(i >> 16), byte(i >> 8), byte(i)}
		th.take([]eventlog.Entry{e}, at)
	}
	if n := len(th.buckets); n > sweepAt {
		t.Errorf("%d buckets", n)
	}
	// One that took too much is remembered until it has made up for it.
	debt := make([]eventlog.Entry, 100)
	th.take(debt, at)
	th.sweep(at.Add(30 * time.Second))
	if _, ok := th.take(debt[:1], at.Add(30*time.Second)); ok || len(th.buckets) != 1 {
		t.Errorf("a debt was forgotten, or %d buckets were not", len(th.buckets))
	}
}
