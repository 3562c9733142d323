package deliver

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/resource"
)

// large is an entry of so many bytes.
func large(i, size int) eventlog.Entry {
	e := entry(i)
	e.Event.JSON = append(e.Event.JSON, bytes.Repeat([]byte{' '}, size)...)
	return e
}

// heap is what is reachable.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Endpoints that hang cost what the options say, however many there are and
// whether or not they wait for the same events; and one that answers, with a
// backlog of its own, does not wait for them.
func TestHangingEndpointsDoNotMultiplyMemory(t *testing.T) {
	lanes := 100
	if testing.Short() {
		lanes = 25 // the race detector takes a hundred times as long
	}
	const (
		size = 64 << 10
		most = 40 << 20
	)
	small := func(o *Options) { o.Memory, o.BacklogMemory, o.BatchMemory = 8<<20, 8<<20, 8<<20 }
	timeout := hang(30*time.Second, destination.Verdict{Outcome: destination.TimedOut})
	for _, row := range []struct {
		name   string
		events int
		apart  bool // each subscription has a topic of its own
	}{
		{name: "of the same events", events: 60},
		{name: "each of its own", events: 10, apart: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			quick := newRecorder()
			inBubble(t, func(r *rig) []*Subscription {
				r.disk.copying()
				var subs []*Subscription
				for i := range lanes {
					s := sub(t, 1, timeout)
					s.UID, s.Name = resource.UID{3, byte(i), byte(i >> 8)}, fmt.Sprint("hanging", i)
					if row.apart {
						s.Topic = resource.UID{4, byte(i), byte(i >> 8)}
						r.SetTopic(s.Topic, fmt.Sprint(topicID, i), []*Subscription{s})
						continue
					}
					subs = append(subs, s)
				}
				return append(subs, sub(t, 2, quick.around(hang(10*time.Millisecond, delivered))))
			}, func(r *rig) {
				before := heap()
				for i := range row.events {
					if !row.apart {
						r.disk.publish(large(i, size))
						continue
					}
					for n := range lanes {
						e := large(i*lanes+n, 0)
						e.Topic = resource.UID{4, byte(n), byte(n >> 8)}
						// The disk has them all; only what is read is as large as this.
						e.Event.JSON = append(e.Event.JSON, blank[:size]...)
						r.disk.publish(e)
					}
				}
				kept := heap() - before // on disk
				var worst int64
				for range 100 {
					pass(time.Second)
					worst = max(worst, heap()-before-kept)
				}
				t.Logf("%d MiB beside the disk's %d", worst>>20, kept>>20)
				if worst > most {
					t.Errorf("%d hanging endpoints cost %d MiB, want at most %d", lanes, worst>>20, most>>20)
				}
				r.disk.publish(entries(1<<20, 50)...)
				pass(2 * time.Minute)
				seen := make(map[string]bool)
				for _, v := range quick.visits() {
					seen[v.id] = true
				}
				want := 50
				if !row.apart {
					want += row.events
				}
				if len(seen) != want {
					t.Errorf("%d events reached the endpoint that answers, want %d", len(seen), want)
				}
			}, small)
		})
	}
}

var blank = make([]byte, 1<<20)
