package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/intertie/intertie/engine/disktest"
)

// filler publishes large events from several clients for as long as it may.
type filler struct {
	at *source

	mu       sync.Mutex // protects the fields below
	accepted []string
	refused  int
	odd      []string // answers that a full disk does not excuse
}

// run publishes until ctx ends.
func (f *filler) run(ctx context.Context, prefix string, clients int) {
	pad := strings.Repeat("x", 20_000)
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				ids := make([]string, 1+c%3*4)
				events := make([]string, len(ids))
				for i := range ids {
					ids[i] = fmt.Sprintf("%s-%d-%d-%d", prefix, c, n, i)
					events[i] = gridEvent(ids[i], `"`+pad+`"`)
				}
				a, err := f.at.post(ctx, "["+strings.Join(events, ",")+"]", nil)
				if err != nil && ctx.Err() != nil {
					return
				}
				f.note(a, err, ids)
				if err == nil && a.status == http.StatusServiceUnavailable {
					after(ctx, 50*time.Millisecond)
				}
			}
		})
	}
	group.Wait()
}

func (f *filler) note(a answer, err error, ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
	switch {
	case err == nil && a.status == http.StatusOK:
		f.accepted = append(f.accepted, ids...)
	case err == nil && a.status == http.StatusServiceUnavailable && wait > 0:
		f.refused++
	default:
		f.odd = append(f.odd, fmt.Sprintf("%d %v %.200s %v", a.status, a.header["Retry-After"], a.body, err))
	}
}

func (f *filler) counts() (accepted, refused int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.accepted), f.refused
}

// TestFullDisk fills the disk by publishing, and has another program fill it:
// publishes are refused with 503 and Retry-After, nothing that was acknowledged
// is lost, and when there is space again the server goes on by itself.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size, leave int64 // of the disk, and by the other program at first
		suddenly    bool  // it takes the rest while events come in
	}{
		"by publishing":      {192 << 20, 64 << 20, false},
		"by another program": {192 << 20, 128 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := disktest.New(t, tt.size)
			s := newServer(t, "--allow-private-webhooks", "--retry-schedule", "1s,2s")
			s.dir = filepath.Join(disk.Dir, "data")
			s.start(t)
			hook := receive(t)
			d := shop(t, s)
			topic := d.openTopic(t, "orders", gridInput)
			d.subscribeAt(t, topic.id, "to-erp", webhook(hook.URL+"/orders"))
			hook.answer("/orders", status(http.StatusInternalServerError)) // what was accepted stays on the disk
			disk.Fill(t, tt.leave)

			f := &filler{at: topic}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); f.run(ctx, "e", 6) }()
			defer func() { stop(); <-ended }()
			// Filling it may have touched the last byte for a moment.
			until(t, 20*time.Second, "events are accepted", func() bool { n, _ := f.counts(); return n > 200 })
			_, soFar := f.counts()
			if tt.suddenly {
				disk.Fill(t, 0)
			}
			until(t, 60*time.Second, "publishes are refused", func() bool { _, n := f.counts(); return n > soFar+50 })
			before, _ := f.counts()
			t.Logf("refused after %d events, with %d KB free", before, disk.Free(t)>>10)
			if !s.running() {
				t.Fatal("the server has ended")
			}
			if a := d.call(t, "GET", topic.id, ""); a.status != 200 {
				t.Errorf("reading with a full disk: %d %s", a.status, a.body)
			}
			disk.Release(t)
			began := time.Now()
			until(t, 60*time.Second, "publishing works again", func() bool { n, _ := f.counts(); return n > before+50 })
			t.Logf("publishing again %s after there was space", time.Since(began).Round(time.Millisecond))
			stop()
			<-ended
			hook.answer("/orders", nil)
			if !cameTrue(t.Context(), 60*time.Second, func() bool { return hook.hasAll("/orders", f.accepted) }) {
				missing := hook.missing("/orders", f.accepted)
				t.Errorf("%d of %d accepted events are lost, such as %s", len(missing), len(f.accepted), missing[0])
			}
			t.Logf("%d events accepted, %d publishes refused; all arrived %s after there was space", len(f.accepted), f.refused, time.Since(began).Round(time.Millisecond))
			for i, o := range f.odd {
				if i < 5 {
					t.Errorf("one of %d answers: %s", len(f.odd), o)
				}
			}
			// And a change.
			d.subscribeAt(t, topic.id, "second", webhook(hook.URL+"/second"))
		})
	}
}
