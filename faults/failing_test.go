package faults

import (
	"math"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// errnos are what a file system answers that has a bad day.
var errnos = []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.ENOMEM, syscall.EMFILE, syscall.EACCES}

// times is how many operations fail: one, or all from there on.
var times = []int{1, math.MaxInt}

// waiting makes a disk with a stopped server's folder in which everything waits
// that was published, and the world that belongs to it.
func waiting(t *testing.T) (*world, *disk) {
	t.Helper()
	d := newDisk()
	dir, unmount := mount(t, d)
	w := newWorld(t, filepath.Join(dir, "data"))
	w.fill(t)
	w.end(t, syscall.SIGTERM)
	w.setDown(false)
	unmount()
	return w, d
}

// TestFailingStart lets an operation of a start fail, or all from there on: the
// start ends with the reason, or can do without. The next one finds everything.
func TestFailingStart(t *testing.T) {
	t.Parallel()
	r := chance(t)
	w, before := waiting(t)
	d := before.cut(nil)
	unmount := w.moveTo(t, d)
	w.mustStart(t)
	starts := d.operations()
	w.kill(t)
	unmount()
	trials := 10 * *rounds
	for trial := range trials {
		d := before.cut(nil)
		unmount := w.moveTo(t, d)
		w.setDown(false)
		// Spread, so that few trials meet everything.
		f := fault{from: (starts*trial + r.IntN(starts)) / trials, errno: errnos[r.IntN(len(errnos))], times: times[r.IntN(2)]}
		d.arm(f)
		ready := w.start(t)
		t.Logf("trial %d: %v from operation %d on, %d times: ready: %t", trial, f.errno, f.from, f.times, ready)
		if !ready {
			line, err := w.refusal()
			if err != nil {
				t.Fatal(err)
			}
			t.Log(line)
		}
		t.Logf("met: %.300v", d.disarm())
		w.leave(t)
		w.mustStart(t)
		if lost := w.losses(t); len(lost) > 0 {
			t.Fatalf("%d are lost: %.2000v", len(lost), lost)
		}
		w.kill(t)
		unmount()
	}
}

// TestFailingFirstStart lets an operation of the first start in a folder fail: the
// next one goes on from there.
func TestFailingFirstStart(t *testing.T) {
	t.Parallel()
	r := chance(t)
	for trial := range 4 * *rounds {
		d := newDisk()
		dir, unmount := mount(t, d)
		s := newServer(t, filepath.Join(dir, "data"))
		f := fault{from: r.IntN(300), errno: errnos[r.IntN(len(errnos))], times: times[r.IntN(2)]}
		d.arm(f)
		if !s.start(t) {
			line, err := s.refusal()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("trial %d: %v from operation %d on, %d times: %s", trial, f.errno, f.from, f.times, line)
		}
		t.Logf("met: %.300v", d.disarm())
		s.leave(t)
		s.client = nil // the authority may be another one: nobody was told of it
		s.mustStart(t)
		s.kill(t)
		unmount()
	}
}

// TestFailingUnderLoad lets operations fail at random: the process ends with the
// reason, or goes on, and the next start finds everything.
func TestFailingUnderLoad(t *testing.T) {
	t.Parallel()
	r := chance(t)
	d := newDisk()
	dir, _ := mount(t, d)
	w := newWorld(t, filepath.Join(dir, "data"))
	t.Cleanup(func() { w.leave(t) })
	for round := range 8 * *rounds {
		work := w.work(t)
		f := fault{from: r.IntN(1500), errno: errnos[round%len(errnos)], times: times[r.IntN(2)]}
		d.arm(f)
		if !cameTrue(t.Context(), arrivalLimit, func() bool { return d.met() > 0 }) {
			t.Fatal("there was no operation")
		}
		// Most failures end the process at once; what does not has a moment to show.
		cameTrue(t.Context(), time.Second, func() bool { return !w.Running() })
		work.stop()
		t.Logf("round %d: %v, %d times: running: %t, met %.200v", round, f.errno, f.times, w.Running(), d.disarm())
		if !w.Running() {
			w.await(t)
			line, err := w.refusal()
			if err != nil {
				t.Fatal(err)
			}
			t.Log(line)
			w.mustStart(t)
		}
		w.check(t)
	}
}

// TestHanging lets the disk hang: a moment is waited for, with a warning; from 20 s
// on nobody can say what becomes of the writes under way, and the process ends.
func TestHanging(t *testing.T) {
	for name, tt := range map[string]struct {
		hang  time.Duration
		start bool // while it starts
		says  string
	}{
		"for 7 s under load":  {7 * time.Second, false, "the disk is slow"},
		"for 45 s under load": {45 * time.Second, false, "the disk hangs"},
		"for 45 s at a start": {45 * time.Second, true, "the disk hangs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := chance(t)
			w, before := waiting(t)
			d := before.cut(nil)
			w.moveTo(t, d)
			f := fault{from: r.IntN(100), times: math.MaxInt, hang: tt.hang, only: "sync"}
			stop := func() {}
			if tt.start {
				f.from = r.IntN(20)
				d.arm(f)
				w.launch(t)
			} else {
				w.mustStart(t)
				stop = w.work(t).stop
				d.arm(f)
			}
			if !cameTrue(t.Context(), tt.hang, func() bool { return strings.Contains(w.log.String(), tt.says) }) {
				t.Errorf("it does not say %q:\n%s", tt.says, w.log)
			}
			// As long as the operation hangs, the system keeps even a process that has ended.
			after(t.Context(), 2*time.Second)
			stop()
			t.Logf("met %.200v", d.disarm())
			if tt.says == "the disk hangs" {
				w.await(t)
				line, err := w.refusal()
				if err != nil {
					t.Fatal(err)
				}
				t.Log(line)
				w.mustStart(t)
			} else if !w.Running() {
				t.Errorf("it has ended:\n%s", w.log)
			}
			w.check(t)
		})
	}
}
