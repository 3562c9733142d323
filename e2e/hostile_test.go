package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestHostileEndpoints has endpoints that hang, trickle, flood, break off and
// lead astray beside one that works: it gets everything as if it were alone.
func TestHostileEndpoints(t *testing.T) {
	t.Parallel()
	s := serve(t, "--retry-schedule", "1h")
	hook := receive(t)
	d := shop(t, s)
	topic := d.openTopic(t, "orders", gridInput)
	var floods, flooded, followed atomic.Int64
	page := make([]byte, 64<<10)
	flush := func(w http.ResponseWriter, b []byte) bool {
		_, err := w.Write(b)
		return err == nil && http.NewResponseController(w).Flush() == nil
	}
	hook.hang("/hangs")
	hook.answer("/followed", func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	for path, h := range map[string]http.HandlerFunc{
		"/trickles": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100000")
			for flush(w, []byte("x")) {
				select {
				case <-hook.ended:
					return
				case <-r.Context().Done():
					return
				case <-time.After(time.Second):
				}
			}
		},
		"/floods": func(w http.ResponseWriter, _ *http.Request) {
			floods.Add(1)
			for range 100 << 20 / len(page) {
				if !flush(w, page) {
					return
				}
				flooded.Add(int64(len(page)))
			}
		},
		"/breaks-off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			flush(w, []byte("half of it"))
			panic(http.ErrAbortHandler)
		},
		"/resets": reset,
		"/redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, hook.URL+"/followed", http.StatusTemporaryRedirect)
		},
		"/moved": status(http.StatusMovedPermanently, "Location", hook.URL+"/followed"),
		"/headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("y", 1000))
			}
		},
		"/garbage": func(w http.ResponseWriter, _ *http.Request) {
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = buffer.WriteString("this is no HTTP\r\n\r\n\x00\xff")
			_ = buffer.Flush()
		},
	} {
		hook.answer(path, h)
	}
	hostile := []string{"hangs", "trickles", "floods", "breaks-off", "resets", "redirects", "moved", "headers", "garbage"}
	for _, name := range append(hostile, "neighbour") {
		d.subscribeAt(t, topic.id, name, webhook(hook.URL+"/"+name))
	}
	var ids []string
	began := time.Now()
	for n := range 20 {
		batch := make([]string, 25)
		for i := range batch {
			batch[i] = fmt.Sprintf("e%d-%d", n, i)
		}
		if ok, err := topic.publish(t.Context(), batch...); !ok {
			t.Fatal(err)
		}
		ids = append(ids, batch...)
	}
	until(t, 20*time.Second, "the neighbour has everything", func() bool { return hook.hasAll("/neighbour", ids) })
	t.Logf("the neighbour had %d events after %s", len(ids), time.Since(began).Round(time.Millisecond))
	if n := followed.Load(); n != 0 {
		t.Errorf("redirects were followed %d times", n)
	}
	outcome := func(name string) string {
		text, _ := fields(t, d.call(t, "POST", topic.id+"/eventSubscriptions/"+name+"/getDeliveryStatus", "").body)["lastDeliveryOutcome"].(string)
		return text
	}
	for name, want := range map[string]string{"resets": "SocketError", "redirects": "GenericError", "moved": "GenericError", "garbage": "SocketError"} {
		if !cameTrue(t.Context(), 10*time.Second, func() bool { return outcome(name) == want }) {
			t.Errorf("%s: the outcome is %q, want %q", name, outcome(name), want)
		}
	}
	// An answer counts by its status, whatever follows: nobody reads it all.
	perRequest := flooded.Load() / max(1, floods.Load())
	t.Logf("of each of %d floods, %d KB went out", floods.Load(), perRequest>>10)
	if floods.Load() == 0 || perRequest > 20<<20 {
		t.Errorf("%d MB of an answer were read", perRequest>>20)
	}
	if ok, err := topic.publish(t.Context(), "last"); !ok {
		t.Fatal(err)
	}
	until(t, 10*time.Second, "the neighbour has the last one", func() bool { return hook.hasAll("/neighbour", []string{"last"}) })
}
