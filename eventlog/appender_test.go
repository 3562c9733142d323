package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/engine"
)

func TestWhatWaitsBecomesOneRecord(t *testing.T) {
	d := newDesk(t)
	answers := d.occupy()
	const calls, each = 40, 3
	for i := range calls {
		answers = append(answers, d.queue(numbered(i*each, each, 100)))
	}
	d.engine.end <- nil
	if diff := cmp.Diff(sequence(0, calls*each), get(t, d.engine.began)); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
	for _, a := range answers[committers:] {
		select {
		case err := <-a:
			t.Fatalf("answered before the record was durable: %v", err)
		default:
		}
	}
	d.engine.end <- nil
	d.engine.end <- nil
	d.wantNil(answers...)
}

func TestARecordIsBounded(t *testing.T) {
	const half, most = recordBytes / 2, engine.MaxRecord - headRoom - entryOverhead - len("0")
	for _, row := range []struct {
		name  string
		calls [][2]int // events of each call, and the size of one
		want  []int    // calls in each record
	}{
		{"by bytes", [][2]int{{1, half - 500}, {1, half - 500}, {1, half - 500}, {1, 10}}, []int{2, 2}},
		{"by events", [][2]int{{recordEntries - 1, 1}, {1, 1}, {1, 1}, {recordEntries / 2, 1}, {recordEntries / 2, 1}}, []int{2, 2, 1}},
		{"a large call by itself", [][2]int{{1, 10}, {1, most}, {1, 10}, {1, 10}}, []int{1, 1, 2}},
		{"a long call by itself", [][2]int{{1, 10}, {2 * recordEntries, 1}, {1, 10}}, []int{1, 1, 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newDesk(t)
			answers := d.occupy()
			var want [][]int
			next := 0
			for _, n := range row.want {
				var record []int
				for range n {
					c := row.calls[0]
					row.calls = row.calls[1:]
					answers = append(answers, d.queue(numbered(next, c[0], c[1])))
					record = append(record, sequence(next, c[0])...)
					next += c[0]
				}
				want = append(want, record)
			}
			for i := range want {
				d.engine.end <- nil // one record under way ends, the other stays
				if got := get(t, d.engine.began); !slices.Equal(got, want[i]) {
					t.Errorf("record %d has %d events, want %d", i, len(got), len(want[i]))
				}
			}
			for range committers {
				d.engine.end <- nil
			}
			d.wantNil(answers...)
		})
	}
}

func TestErrorsReachEveryCallerOfTheRecord(t *testing.T) {
	d := newDesk(t)
	broken := fmt.Errorf("no answer: %w", engine.ErrUnconfirmed)
	first := d.occupy()
	shared := []<-chan error{d.queue(numbered(0, 1, 10)), d.queue(numbered(1, 1, 10))}
	d.engine.end <- nil
	get(t, d.engine.began)
	d.engine.end <- broken // one of the two records that are under way
	d.engine.end <- broken // the other
	failed := 0
	for _, a := range first {
		if get(t, a) != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d records failed before the shared one, want 1", failed)
	}
	for i, a := range shared {
		if err := get(t, a); !errors.Is(err, ErrUnconfirmed) || !errors.Is(err, broken) {
			t.Errorf("caller %d got %v", i, err)
		}
	}
	again := d.call(t.Context(), numbered(2, 1, 10))
	get(t, d.engine.began)
	d.engine.end <- nil
	d.wantNil(again)
}

func TestACallEndsWithItsContext(t *testing.T) {
	d := newDesk(t)
	d.occupy()
	ctx, cancel := context.WithCancel(t.Context())
	es := numbered(0, 2, 100)
	done := d.call(ctx, es)
	d.soon("the call to wait", func() bool { return d.waiting() == 1 })
	cancel()
	if err := get(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	clear(es[0].Event.JSON) // ours again
	es[1].ID = [16]byte{0xff}
	d.engine.end <- nil
	if diff := cmp.Diff(sequence(0, 2), get(t, d.engine.began)); diff != "" {
		t.Errorf("it may become durable, but as it was (-want +got):\n%s", diff)
	}
}

func TestCloseCommitsWhatWaits(t *testing.T) {
	d := newDesk(t)
	answers := d.occupy()
	answers = append(answers, d.queue(numbered(0, 2, 10)), d.queue(numbered(2, 2, 10)))
	closed := make(chan struct{})
	go func() { d.Close(); close(closed) }()
	d.soon("the log to be closed", func() bool {
		d.appender.mu.Lock()
		defer d.appender.mu.Unlock()
		return d.appender.closed
	})
	if err := d.Append(t.Context(), numbered(9, 1, 10)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	select {
	case <-closed:
		t.Error("closed while calls wait")
	default:
	}
	d.engine.end <- nil
	if diff := cmp.Diff(sequence(0, 4), get(t, d.engine.began)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d.engine.end <- nil
	d.engine.end <- nil
	get(t, closed)
	d.wantNil(answers...)
	d.Close()
	if err := d.Append(t.Context(), numbered(9, 1, 10)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestTooLargeCalls(t *testing.T) {
	d := newDesk(t)
	for name, es := range map[string][]Entry{
		"one event":   numbered(0, 1, engine.MaxRecord),
		"many events": numbered(0, 8, engine.MaxRecord/8),
	} {
		if err := d.Append(t.Context(), es); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := d.Append(t.Context(), nil); err != nil {
		t.Errorf("nothing: got %v", err)
	}
	if n := d.waiting(); n != 0 || len(d.engine.began) != 0 {
		t.Error("something was written")
	}
	done := d.call(t.Context(), numbered(0, 1, engine.MaxRecord-headRoom-entryOverhead-len("0")))
	if got := get(t, d.engine.began); len(got) != 1 {
		t.Errorf("%d events", len(got))
	}
	d.engine.end <- nil
	d.wantNil(done)
}

func TestCallsUnderWayAreBounded(t *testing.T) {
	d := newDesk(t)
	answers := d.occupy()
	const size = 3 << 20
	fit := (waitingBytes - 1000) / (size + entryOverhead + 10)
	for i := range fit {
		answers = append(answers, d.queue(numbered(i, 1, size)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.Append(ctx, numbered(fit, 1, size)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n := d.waiting(); n != fit {
		t.Errorf("%d calls wait, want %d", n, fit)
	}
	blocked := d.call(t.Context(), numbered(fit, 1, size))
	var got []int
	for range fit {
		d.engine.end <- nil
		got = append(got, get(t, d.engine.began)...)
	}
	d.engine.end <- nil
	d.engine.end <- nil
	d.wantNil(answers...)
	got = append(got, get(t, d.engine.began)...) // when there was room
	d.engine.end <- nil
	d.wantNil(blocked)
	if diff := cmp.Diff(sequence(0, fit+1), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingIsAppendedWithoutRoom(t *testing.T) {
	d := newDesk(t)
	d.engine.mu.Lock()
	d.engine.room = fmt.Errorf("%w: the disk is full", engine.ErrNoSpace)
	d.engine.mu.Unlock()
	if err := d.Append(t.Context(), numbered(0, 1, 10)); !errors.Is(err, ErrNoSpace) || !errors.Is(err, d.engine.Room()) {
		t.Errorf("got %v", err)
	}
	if len(d.engine.began) != 0 {
		t.Error("it was written")
	}
}

// quick is an engine that keeps what it is given.
type quick struct {
	engine.Engine

	mu      sync.Mutex // protects the fields below
	records [][]Entry
	err     error
}

func (q *quick) Append(_ context.Context, data []byte, count int) error {
	es, err := decodeEvents(data, count)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.records = append(q.records, es)
	q.err = errors.Join(q.err, err)
	return nil
}

func (q *quick) Room() error           { return nil }
func (q *quick) Counts() engine.Counts { return engine.Counts{} }

// However calls meet, each comes out once, whole, in one piece and as it was, and
// some of them share records.
func TestCallsStayWhole(t *testing.T) {
	q := new(quick)
	l, err := Open(q, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const callers, calls = 32, 60
	given := make(chan bool, callers*calls) // up or not
	var wg sync.WaitGroup
	for c := range callers {
		r := rand.New(rand.NewPCG(1, uint64(c)))
		wg.Go(func() {
			for i := range calls {
				ctx, cancel := context.WithCancel(t.Context())
				if r.IntN(10) == 0 {
					cancel()
				}
				// The size of a call is in its numbers.
				n := 1 + r.IntN(5)
				err := l.Append(ctx, numbered((c*calls+i)*100+10*n, n, r.IntN(2000)))
				if err != nil && ctx.Err() == nil {
					t.Errorf("append: %v", err)
				}
				given <- err != nil
				cancel()
			}
		})
	}
	wg.Wait()
	l.Close()
	uncertain := 0
	for range callers * calls {
		if <-given {
			uncertain++
		}
	}
	seen := make(map[int]bool)
	if q.err != nil {
		t.Error(q.err)
	}
	for _, es := range q.records {
		for len(es) > 0 {
			first := numberOf(&es[0])
			n := first % 100 / 10
			if n < 1 || len(es) < n || seen[first] {
				t.Fatalf("call %d came twice, or as a part of it", first)
			}
			seen[first] = true
			want := numbered(first, n, len(es[0].Event.JSON))
			for i := range want {
				if len(want[i].Event.JSON) == 0 {
					want[i].Event.JSON = nil
				}
			}
			if !reflect.DeepEqual(want, es[:n]) {
				t.Fatalf("call %d (-want +got):\n%s", first, cmp.Diff(want, es[:n]))
			}
			es = es[n:]
		}
	}
	if len(seen) > callers*calls || len(seen) < callers*calls-uncertain {
		t.Errorf("%d calls are there, of %d, %d of them uncertain", len(seen), callers*calls, uncertain)
	}
	if len(q.records) >= len(seen) {
		t.Errorf("%d calls made %d records", len(seen), len(q.records))
	}
}

// Who waits for company is a matter of who usually comes: a single caller soon does
// not any more.
func TestCompanyThatDoesNotComeIsForgotten(t *testing.T) {
	d := newDesk(t)
	var many []<-chan error
	for round := range 8 {
		many = append(many, d.occupy()...)
		for i := range 64 {
			many = append(many, d.queue(numbered(round*64+i, 1, 10)))
		}
		for range committers {
			d.engine.end <- nil
		}
		get(t, d.engine.began)
		d.engine.end <- nil
	}
	d.wantNil(many...)
	if d.appender.enough() < 2 {
		t.Fatal("nobody is expected after many came together")
	}
	for range 60 {
		one := d.call(t.Context(), numbered(0, 1, 10))
		get(t, d.engine.began)
		d.engine.end <- nil
		d.wantNil(one)
	}
	if n := d.appender.enough(); n > 1 {
		t.Errorf("%d callers are waited for where one comes", n)
	}
}

func TestBuffersHaveRoomAndAreEmpty(t *testing.T) {
	var p bufferPool
	for _, n := range []int{-1, 0, 1, 2, 3, 1 << 10, 1<<10 + 1, 1 << keptClass, 1<<keptClass + 1, 4 << 20} {
		for range 2 {
			b := p.get(n)
			if len(b) != 0 || cap(b) < n {
				t.Errorf("get(%d) returned %d bytes with room for %d", n, len(b), cap(b))
			}
			p.put(append(b, 1))
		}
	}
	p.put(nil)
	p.put(make([]byte, 0, 1000)) // of no class
	if b := p.get(1000); cap(b) < 1000 {
		t.Error("a buffer of the wrong class was kept")
	}
}
