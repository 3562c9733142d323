package local_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/resource"
)

// fate says whether a thing has to be there.
type fate uint8

const (
	mustNot fate = iota // moved or dropped, and that was acknowledged
	may                 // settled, or not acknowledged
	must
)

// ledger is what a client of an engine knows: for each event and each delivery
// whether it has to be there, and what the resources are. Events are named
// record/place, deliveries by their heads.
type ledger struct {
	mu     sync.Mutex
	fates  map[string]fate
	bodies map[string]string
	moving [][2]string // of each pair exactly one is there: the move is under way
	values map[string]string
	next   map[string]string // what the values are if the transaction under way is there; nil: there is none

	spilledBy map[string]int // subscriptions of what was spilled, for the client
	before    *ledger        // how it was before the newest write
	serial    int            // of the newest name
	largest   int            // body
}

func newLedger(largest int) *ledger {
	return &ledger{
		fates: map[string]fate{}, bodies: map[string]string{}, values: map[string]string{}, spilledBy: map[string]int{},
		largest: largest,
	}
}

// now returns a copy, and runs what belongs to the same moment: whatever began
// before it is in the copy, and nothing that begins afterwards is in what f sees.
func (l *ledger) now(f func()) *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	return &ledger{
		fates: maps.Clone(l.fates), bodies: maps.Clone(l.bodies), moving: slices.Clone(l.moving),
		values: maps.Clone(l.values), next: maps.Clone(l.next), spilledBy: maps.Clone(l.spilledBy),
		before: l.before, serial: l.serial, largest: l.largest,
	}
}

// begin says that a write begins.
func (l *ledger) begin() {
	before := l.now(func() {})
	before.before = nil
	l.declare(func() { l.before = before })
}

func (l *ledger) declare(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *ledger) set(f fate, names ...string) {
	l.declare(func() {
		for _, name := range names {
			l.fates[name] = f
		}
	})
}

// is reports what is wrong with what an engine has.
func (l *ledger) is(got *contents) error {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(l.fates)) {
		n := len(got.things[name])
		switch f := l.fates[name]; {
		case n > 1:
			wrong = append(wrong, fmt.Sprintf("%s is there %d times", name, n))
		case n == 0 && f == must:
			wrong = append(wrong, name+" is lost")
		case n == 1 && f == mustNot:
			wrong = append(wrong, name+" is there again")
		case n == 1 && got.things[name][0] != l.bodies[name]:
			wrong = append(wrong, fmt.Sprintf("%s has %d bytes that it had not", name, len(got.things[name][0])))
		}
	}
	for name := range got.things {
		if _, ok := l.fates[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("%.40q was invented", name))
		}
	}
	for _, m := range l.moving {
		if n := len(got.things[m[0]]) + len(got.things[m[1]]); n != 1 {
			wrong = append(wrong, fmt.Sprintf("of %s and %s, which it moves to, there are %d", m[0], m[1], n))
		}
	}
	if !maps.Equal(got.values, l.values) && (l.next == nil || !maps.Equal(got.values, l.next)) {
		wrong = append(wrong, fmt.Sprintf("resources are %.200v, and were %.200v or %.200v", got.values, l.values, l.next))
	}
	if wrong != nil {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// contents is all that an engine hands out.
type contents struct {
	things map[string][]string
	values map[string]string
}

const (
	faultSubs = 2 // subscriptions of the workload
	faultWait = 20 * time.Second
)

func faultSub(i int) resource.UID { return resource.UID{15: byte(i + 1)} }

// everything reads what an engine has, as much as it says that it has.
func everything(e engine.Engine) (*contents, error) {
	ctx, cancel := context.WithTimeout(context.Background(), faultWait)
	defer cancel()
	got := &contents{things: map[string][]string{}}
	var mu sync.Mutex // protects got and seen
	var seen engine.Counts
	takeAll := func(ps []engine.Pending) {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range ps {
			got.things[string(p.Head)] = append(got.things[string(p.Head)], string(p.Body))
			seen.Deliveries[p.Queue]++
		}
	}
	readers := []func() error{
		func() error {
			return e.Events(ctx, func(r engine.Record) {
				mu.Lock()
				defer mu.Unlock()
				name, _, _ := strings.Cut(string(r.Data), " ")
				for i := range r.Count {
					if event := fmt.Sprint(name, "/", i); r.Settled == nil || !r.Settled[i] {
						got.things[event] = append(got.things[event], string(r.Data))
					}
				}
				seen.Records++
			})
		},
		func() error { return e.Due(ctx, engine.Waiting, takeAll) },
		func() error { return e.Due(ctx, engine.DeadLetters, takeAll) },
	}
	for i := range faultSubs {
		readers = append(readers, func() error { return e.ReadSpilled(ctx, faultSub(i), takeAll) })
	}
	ends := make(chan error, len(readers))
	for _, read := range readers {
		go func() { ends <- read() }()
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var err error
	running := len(readers)
	for all := false; !all && err == nil; {
		select {
		case err = <-ends:
			running--
		case <-e.Failed():
			err = e.Err()
		case <-tick.C:
			mu.Lock()
			all = seen == e.Counts()
			mu.Unlock()
		}
	}
	cancel()
	for range running {
		if end := <-ends; !errors.Is(end, context.Canceled) {
			err = errors.Join(err, end)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("hangs: %+v of %+v were handed out", seen, e.Counts())
	}
	if err != nil {
		return nil, err
	}
	got.values, err = valuesOf(e)
	return got, err
}

func valuesOf(e engine.Engine) (map[string]string, error) {
	enough := errors.New("enough")
	values := map[string]string{}
	err := e.Follow(context.Background(), func(t engine.Transaction) error {
		for _, w := range t.Writes {
			values[w.Key] = string(w.Value)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		return nil, err
	}
	return values, nil
}

// openFault opens what faults were done to.
// memFS does what a MemFS does. But its ReuseForWrite takes the lock of CrashClone
// twice, and never gets it when a CrashClone comes in between.
type memFS struct{ *vfs.MemFS }

func (m memFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := m.Rename(old, name); err != nil {
		return nil, err
	}
	return m.OpenReadWrite(name, c)
}

func openFault(fs vfs.FS) (*local.Engine, error) {
	return local.Open(context.Background(), local.Options{Dir: dataDir, FS: fs, MemTable: 32 << 10, MeasureEvery: time.Hour})
}
