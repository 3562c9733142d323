package publish

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func compress(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// padded returns a batch of exactly n bytes.
func padded(n int) string { return one + strings.Repeat(" ", n-len(one)) }

func TestBodySizes(t *testing.T) {
	gz := func(r *http.Request) { r.Header.Set("Content-Encoding", "GZIP") }
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	for _, tt := range []struct {
		name, body string
		change     func(*http.Request)
		status     int
	}{
		{"at the limit", padded(DefaultMaxBody), nil, 200},
		{"at the limit, chunked", padded(DefaultMaxBody), chunked, 200},
		{"over the limit", padded(DefaultMaxBody + 1), nil, 413},
		{"over the limit, chunked", padded(DefaultMaxBody + 1), chunked, 413},
		{"far over the limit", padded(3 * DefaultMaxBody), nil, 413},
		{"far over the limit, chunked", padded(3 * DefaultMaxBody), chunked, 413},
		{"gzip", compress(t, one), gz, 200},
		{"gzip at the limit", compress(t, padded(DefaultMaxBody)), gz, 200},
		{"gzip over the limit", compress(t, padded(DefaultMaxBody+1)), gz, 413},
		{"gzip bomb", compress(t, strings.Repeat(" ", 100<<20)), gz, 413},
		{"gzip that inflates to nothing", strings.Repeat(compress(t, ""), DefaultMaxBody/20), func(r *http.Request) { gz(r); chunked(r) }, 413},
		{"gzip cut short", compress(t, one)[:30], gz, 400},
		{"gzip with a wrong sum", strings.Replace(compress(t, one), compress(t, one)[len(compress(t, one))-8:], "xxxxxxxx", 1), gz, 400},
		{"empty gzip", "", gz, 400},
		{"identity", one, func(r *http.Request) { r.Header.Set("Content-Encoding", "identity") }, 200},
		{"empty", "", nil, 400},
		{"empty array", "[]", nil, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			// Twice, since the second use of a pooled reader or buffer is another case.
			for range 2 {
				if a := f.send(t, tt.body, tt.change); a.status != tt.status {
					t.Errorf("%d %s, want %d", a.status, a.body, tt.status)
				}
			}
		})
	}
}

func TestMaxBodyIsConfigurable(t *testing.T) {
	f := newFixture(t, func(h *Handler, _ *Source) { h.MaxBody = 100 })
	if a := f.send(t, padded(101), nil); a.status != 413 || !strings.Contains(a.body, "(100)") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A client that sends its whole body before it reads must see the refusal, and
// may use the connection again.
func TestRefusalReachesClientThatOnlyWrites(t *testing.T) {
	f := newFixture(t, nil)
	conn, err := net.Dial("tcp", f.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := padded(DefaultMaxBody + 1)
	in := bufio.NewReader(conn)
	for range 2 {
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\naeg-sas-key: %s\r\n\r\n%s", path, len(body), key1, body); err != nil {
			t.Fatalf("write: %v", err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", res.StatusCode)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// A client that waits for permission is refused before it has sent anything.
func TestExpectContinueIsRefusedAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	conn, err := net.Dial("tcp", f.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n", path)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", res.StatusCode)
	}
}

// A request that is cut off is not a success, whatever part of it arrived.
func TestTruncatedBody(t *testing.T) {
	f := newFixture(t, nil)
	r := httptest.NewRequest(http.MethodPost, path, io.MultiReader(strings.NewReader(one), errReader{}))
	r.ContentLength = int64(len(one)) + 10
	r.Header.Set("aeg-sas-key", key1)
	r.Header.Set("aeg-channel-name", "orders")
	r.Header.Set("Content-Type", batchType)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code != 400 || len(f.log.entries) != 0 {
		t.Errorf("%d, %d entries", w.Code, len(f.log.entries))
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// When the client goes away while its events are being stored, the handler
// must not end in net/http's silent 200.
func TestCancelledAppendIsNoSuccess(t *testing.T) {
	f := newFixture(t, func(h *Handler, _ *Source) {
		h.Log = &memoryLog{append: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(one))
	r.Header.Set("aeg-sas-key", key1)
	r.Header.Set("aeg-channel-name", "orders")
	r.Header.Set("Content-Type", batchType)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code != 503 || strings.Contains(f.logged.String(), `"level":"ERROR"`) {
		t.Errorf("%d\n%s", w.Code, f.logged)
	}
}

// Buffers are shared between requests, but never while the log has them.
func TestBuffersAreNotSharedUnderWay(t *testing.T) {
	f := newFixture(t, nil)
	var wg sync.WaitGroup
	const publishers, requests = 8, 40
	for p := range publishers {
		wg.Go(func() {
			for n := range requests {
				id := fmt.Sprintf("%d-%d", p, n)
				body := strings.Replace(one, `"id":"1"`, `"id":"`+id+`"`, 1)
				body = strings.Replace(body, `{}`, `"`+strings.Repeat(id, n*50)+`"`, 1)
				if a := f.send(t, body, nil); a.status != 200 {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, e := range f.log.entries {
		seen[e.Event.ID] = true
		if !bytes.Contains(e.Event.JSON, []byte(`"id":"`+e.Event.ID+`"`)) {
			t.Errorf("event %s has the JSON of another: %s", e.Event.ID, e.Event.JSON)
		}
	}
	if len(seen) != publishers*requests {
		t.Errorf("%d events, want %d", len(seen), publishers*requests)
	}
}

// A workspace that the log failed with must not be used again: the log has not
// promised to be done with it.
func TestFailedWorkspaceIsNotPooled(t *testing.T) {
	ws := getWorkspace()
	ws.body = append(ws.body, "in use"...)
	ws.lent = true
	ws.release()
	if string(ws.body) != "in use" {
		t.Error("release touched a workspace that is lent")
	}
	h := &Handler{Log: &memoryLog{append: func(context.Context) error { return errors.New("no") }}}
	ws = &workspace{entries: getWorkspace().entries}
	ws.entries = append(ws.entries, entry(1))
	if p := h.append(httptest.NewRequest(http.MethodPost, "/", nil), ws, &Source{}, now); p == nil || !ws.lent {
		t.Errorf("problem %v, lent %v", p, ws.lent)
	}
}
