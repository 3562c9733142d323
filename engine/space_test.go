package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const mb = 1 << 20

// fakeDisk is a file system that a test fills.
type fakeDisk struct {
	free, total atomic.Int64
	err         atomic.Pointer[error]
}

func (d *fakeDisk) space(string) (int64, int64, error) {
	if err := d.err.Load(); err != nil {
		return 0, 0, *err
	}
	return d.free.Load(), d.total.Load(), nil
}

// supervised is a supervisor that watches a fake disk, without a server.
func supervised(t *testing.T, d *fakeDisk, log *bytes.Buffer) *supervisor {
	t.Helper()
	o := Options{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(log, nil)), disk: d.space}
	v := newSupervisor(o.withDefaults())
	v.waits.check = time.Hour // there is no server to ask
	v.checked = time.Now()
	v.measure()
	return v
}

// what is taken of the three kinds.
func admits(s *Space) [3]bool {
	var got [3]bool
	for i, take := range []func(int) error{s.Take, s.TakeOwn, s.TakeToFree} {
		if got[i] = take(1) == nil; got[i] {
			s.Put(1)
		}
	}
	return got
}

func TestReserve(t *testing.T) {
	for _, c := range []struct{ reserve, total, want int64 }{
		{0, 64 * mb, 16 * mb},
		{0, 16 * mb, 8 * mb}, // never more than half of it
		{0, 1024 * mb, 128 * mb},
		{0, 1 << 40, 256 * mb},
		{500 * mb, 1 << 40, 500 * mb},
		{500 * mb, 600 * mb, 300 * mb},
	} {
		if got := markFor(c.reserve, c.total); got != c.want {
			t.Errorf("markFor(%d, %d) = %d, want %d", c.reserve, c.total, got, c.want)
		}
	}
}

// With a reserve of 16 MB the marks are 16, 8 and 4 MB, and each is left behind
// at a quarter more.
func TestSpaceClosesAndOpensByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := &fakeDisk{}
		d.total.Store(64 * mb)
		d.free.Store(40 * mb)
		v := supervised(t, d, &log)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.run(ctx) })
		defer running.Wait()
		defer stop()
		for _, step := range []struct {
			free int64
			want [3]bool
		}{
			{17 * mb, [3]bool{true, true, true}},
			{15 * mb, [3]bool{false, true, true}},
			{17 * mb, [3]bool{false, true, true}}, // not 20 yet
			{7 * mb, [3]bool{false, false, true}},
			{9 * mb, [3]bool{false, false, true}},
			{11 * mb, [3]bool{false, true, true}},
			{3 * mb, [3]bool{false, false, false}},
			{0, [3]bool{false, false, false}},
			{6 * mb, [3]bool{false, false, true}},
			{19 * mb, [3]bool{false, true, true}},
			{21 * mb, [3]bool{true, true, true}},
			{1 * mb, [3]bool{false, false, false}},
			{60 * mb, [3]bool{true, true, true}},
		} {
			d.free.Store(step.free)
			time.Sleep(v.every) // of the bubble's clock
			synctest.Wait()
			if got := admits(v.space); got != step.want {
				t.Errorf("%d MB free: takes %v, want %v", step.free/mb, got, step.want)
			}
			if got := v.space.Room(); (got == nil) != step.want[0] {
				t.Errorf("%d MB free: room %v", step.free/mb, got)
			}
		}
		var lines []string
		for line := range strings.Lines(log.String()) {
			lines = append(lines, strings.Fields(line)[1])
		}
		if diff := cmp.Diff([]string{"level=ERROR", "level=INFO", "level=ERROR", "level=INFO"}, lines); diff != "" {
			t.Errorf("log lines (-want +got):\n%s\n%s", diff, log.String())
		}
	})
}

// Between two measurements what is taken counts, so a burst stops at the mark.
func TestABurstDoesNotOutrunTheMeasuring(t *testing.T) {
	var log bytes.Buffer
	d := &fakeDisk{}
	d.total.Store(64 * mb)
	d.free.Store(40 * mb)
	v := supervised(t, d, &log)
	taken := 0
	for v.space.Take(mb) == nil {
		if taken++; taken > 100 {
			t.Fatal("taken without end")
		}
	}
	if taken != 24 {
		t.Errorf("took %d MB of 40, of which 16 are the reserve", taken)
	}
	if err := v.space.Room(); !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "40 MB") {
		t.Errorf("room: %v", err)
	}
	for v.space.TakeOwn(mb) == nil {
		taken++
	}
	if taken != 32 {
		t.Errorf("took %d MB with its own, of which the reserve is 8", taken)
	}
	// All of it is written: the same is measured, and nothing is counted twice.
	v.space.Put(taken * mb)
	d.free.Store(8 * mb)
	v.measure()
	if got := admits(v.space); got != [3]bool{false, false, true} {
		t.Errorf("takes %v", got)
	}
	// And nothing of it: somebody else has removed a file.
	d.free.Store(30 * mb)
	v.measure()
	if got := admits(v.space); got != [3]bool{true, true, true} {
		t.Errorf("takes %v", got)
	}
}

// Whatever is taken, written and measured, in whatever order: what was admitted
// fits above the mark that admitted it.
func TestWhatIsAdmittedFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSpace(16*mb, slog.New(slog.DiscardHandler), func() {}, func() {})
		free := int64(64 * mb)
		s.measure(free, 64*mb, 0)
		var open []int // admitted and not written
		pending := int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				n := rapid.IntRange(1, 6*mb).Draw(t, "bytes")
				if s.Take(n) != nil {
					continue
				}
				open, pending = append(open, n), pending+int64(n)
				if free-pending < 16*mb {
					t.Fatalf("admitted %d with %d free and %d on their way", n, free, pending)
				}
			case 2:
				if len(open) > 0 {
					n := open[0]
					open, free, pending = open[1:], free-int64(n), pending-int64(n)
					s.Put(n)
				}
			case 3:
				s.measure(free, 64*mb, s.put.Load())
			}
		}
	})
}

func TestFailureStopsEverythingUntilItRecovers(t *testing.T) {
	var log bytes.Buffer
	d := &fakeDisk{}
	d.total.Store(64 * mb)
	d.free.Store(40 * mb)
	s := supervised(t, d, &log).space
	before := s.Failed()
	s.fail(errors.New("broken disk"))
	s.fail(errors.New("again"))
	select {
	case <-before:
	default:
		t.Error("who waits is not told")
	}
	if got := admits(s); got != [3]bool{} {
		t.Errorf("takes %v", got)
	}
	if err := s.Room(); !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "broken disk") {
		t.Errorf("room: %v", err)
	}
	s.measure(60*mb, 64*mb, 0)
	if s.Room() == nil {
		t.Error("open although it has not recovered")
	}
	s.recovered()
	s.measure(60*mb, 64*mb, s.put.Load())
	if got := admits(s); got != [3]bool{true, true, true} {
		t.Errorf("takes %v", got)
	}
	select {
	case <-s.Failed():
		t.Error("still failed")
	default:
	}
}

// Where free space cannot be read nothing is guarded, and a failure is still one.
func TestUnreadableFreeSpaceGuardsNothing(t *testing.T) {
	var log bytes.Buffer
	d := &fakeDisk{}
	err := errors.New("no such call")
	d.err.Store(&err)
	v := supervised(t, d, &log)
	v.measure()
	if got := admits(v.space); got != [3]bool{true, true, true} {
		t.Errorf("takes %v", got)
	}
	if n := strings.Count(log.String(), "no such call"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	v.space.fail(errors.New("broken disk"))
	if !v.space.enough() {
		t.Error("it would never begin again")
	}
	v.space.recovered()
	if got := admits(v.space); got != [3]bool{true, true, true} {
		t.Errorf("after recovery: takes %v", got)
	}
}

func TestForeignStorageIsNotGuarded(t *testing.T) {
	s := &Space{outside: true, failed: make(chan struct{})}
	if got := admits(s); got != [3]bool{true, true, true} || s.Room() != nil {
		t.Errorf("takes %v, room %v", got, s.Room())
	}
}

func BenchmarkSpaceTake(b *testing.B) {
	s := newSpace(0, slog.New(slog.DiscardHandler), func() {}, func() {})
	s.measure(1<<40, 1<<41, 0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if s.Take(1000) == nil {
				s.Put(1000)
			}
		}
	})
}
