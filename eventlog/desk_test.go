package eventlog

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/event"
)

// numbered returns n events, the first of them number from, each with so much JSON.
func numbered(from, n, size int) []Entry {
	es := make([]Entry, n)
	for i := range es {
		binary.BigEndian.PutUint64(es[i].ID[:], uint64(from+i))
		es[i].Event = event.Event{JSON: make([]byte, size), ID: fmt.Sprint(from + i)}
		for j := range es[i].Event.JSON {
			es[i].Event.JSON[j] = byte(from + i + j)
		}
	}
	return es
}

func numberOf(e *Entry) int { return int(binary.BigEndian.Uint64(e.ID[:])) }

func numbersOf(es []Entry) []int {
	ns := make([]int, len(es))
	for i := range es {
		ns[i] = numberOf(&es[i])
	}
	return ns
}

// gated is an engine whose Append waits until the test ends it.
type gated struct {
	engine.Engine // nil: what is not needed

	began chan []int // the events of a record, when its Append begins
	end   chan error
	bad   chan error // a record that cannot be read

	mu   sync.Mutex // protects room
	room error
}

func newGated() *gated {
	return &gated{began: make(chan []int, 100), end: make(chan error), bad: make(chan error, 100)}
}

func (g *gated) Append(_ context.Context, data []byte, count int) error {
	es, err := decodeEvents(data, count)
	if err != nil {
		g.bad <- err
	}
	g.began <- numbersOf(es)
	return <-g.end
}

func (g *gated) Room() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.room
}

func (g *gated) Counts() engine.Counts { return engine.Counts{} }

// desk is a log on a gated engine, and the calls that are under way.
type desk struct {
	*Log
	t      *testing.T
	engine *gated
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	g := newGated()
	l, err := Open(g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(g.end) // ends every record well
		l.Close()
		select {
		case err := <-g.bad:
			t.Errorf("a record cannot be read: %v", err)
		default:
		}
		if !l.appender.room.TryAcquire(waitingBytes) {
			t.Error("room was not given back")
		}
		if n := l.appender.present; n != 0 {
			t.Errorf("%d callers are present in the end", n)
		}
	})
	return &desk{Log: l, t: t, engine: g}
}

// call appends and returns where the answer will be.
func (d *desk) call(ctx context.Context, es []Entry) <-chan error {
	done := make(chan error, 1)
	go func() { done <- d.Append(ctx, es) }()
	return done
}

// queue appends when both records are under way, and returns when the call waits.
func (d *desk) queue(es []Entry) <-chan error {
	d.t.Helper()
	n := d.waiting()
	done := d.call(d.t.Context(), es)
	d.soon("the call to wait", func() bool { return d.waiting() == n+1 })
	return done
}

func (d *desk) waiting() int {
	d.appender.mu.Lock()
	defer d.appender.mu.Unlock()
	return len(d.appender.waiting)
}

// occupy lets records of one event each be under way, as many as there may be.
func (d *desk) occupy() (answers []<-chan error) {
	d.t.Helper()
	for i := range committers {
		answers = append(answers, d.call(d.t.Context(), numbered(1_000_000+i, 1, 10)))
		get(d.t, d.engine.began)
	}
	return answers
}

// soon waits until something holds that has no channel to wait on.
func (d *desk) soon(what string, holds func() bool) {
	d.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			d.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// get receives what must come.
func get[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

func (d *desk) wantNil(answers ...<-chan error) {
	d.t.Helper()
	for i, a := range answers {
		if err := get(d.t, a); err != nil {
			d.t.Errorf("call %d: %v", i, err)
		}
	}
}

func sequence(from, n int) []int {
	ns := make([]int, n)
	for i := range ns {
		ns[i] = from + i
	}
	return ns
}
