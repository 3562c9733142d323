package deliver

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/intertie/intertie/destination"
	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/eventlog"
	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topicID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventGrid/topics/orders"

var topicUID = resource.UID{1}

func everything(t testing.TB) *filter.Filter {
	t.Helper()
	f, err := filter.Compile(filter.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// entry returns the i-th event, published now.
func entry(i int) eventlog.Entry {
	e := eventlog.Entry{Topic: topicUID, Published: time.Now()}
	binary.BigEndian.PutUint32(e.ID[:], uint32(i+1))
	id := fmt.Sprintf("e%d", i)
	e.Event = event.Event{
		JSON: []byte(fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/s","type":"t"}`, id)),
		ID:   id, Source: "/s", Type: "t", SpecVersion: "1.0",
	}
	return e
}

func entries(from, n int) []eventlog.Entry {
	es := make([]eventlog.Entry, n)
	for i := range es {
		es[i] = entry(from + i)
	}
	return es
}

// targetFunc is an endpoint.
type targetFunc func(ctx context.Context, id string, attempt int) destination.Verdict

func (f targetFunc) Deliver(ctx context.Context, n *destination.Notification) destination.Verdict {
	return f(ctx, n.Items[0].Event.ID, n.Items[0].Attempt)
}

var (
	delivered = destination.Verdict{Outcome: destination.Delivered, Status: 200}
	aborted   = destination.Verdict{Outcome: destination.Aborted}
	erred     = destination.Verdict{Outcome: destination.GenericError, Status: 500}
	busy      = destination.Verdict{Outcome: destination.Busy, Status: 429}
)

// visit is one attempt that an endpoint saw.
type visit struct {
	id      string
	attempt int
	at      time.Duration // since the recorder was made
}

// recorder remembers attempts.
type recorder struct {
	start time.Time
	mu    sync.Mutex
	seen  []visit
}

func newRecorder() *recorder { return &recorder{start: time.Now()} }

// around records each attempt before it passes it on.
func (r *recorder) around(next targetFunc) targetFunc {
	return func(ctx context.Context, id string, attempt int) destination.Verdict {
		r.mu.Lock()
		r.seen = append(r.seen, visit{id, attempt, time.Since(r.start)})
		r.mu.Unlock()
		return next(ctx, id, attempt)
	}
}

func (r *recorder) visits() []visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]visit(nil), r.seen...)
}

func always(v destination.Verdict) targetFunc {
	return func(context.Context, string, int) destination.Verdict { return v }
}

// hang answers after d, or gives up with ctx.
func hang(d time.Duration, v destination.Verdict) targetFunc {
	return func(ctx context.Context, _ string, _ int) destination.Verdict {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return v
		case <-ctx.Done():
			return aborted
		}
	}
}

// blobs is a store in memory.
type blobs struct {
	mu     sync.Mutex
	put    map[string][]byte
	at     []time.Time
	refuse func() error
}

func (b *blobs) Put(_ context.Context, container, name string, body []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = append(b.at, time.Now())
	if b.refuse != nil {
		if err := b.refuse(); err != nil {
			return err
		}
	}
	if b.put == nil {
		b.put = make(map[string][]byte)
	}
	b.put[container+"/"+name] = bytes.Clone(body)
	return nil
}

// tries returns when Put was called.
func (b *blobs) tries() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]time.Time(nil), b.at...)
}

func (b *blobs) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.put)
}

type deadRecordJSON struct {
	ID          string `json:"id"`
	Reason      string `json:"deadletterreason"`
	Attempts    int    `json:"deliveryattempts"`
	Outcome     string `json:"lastdeliveryoutcome"`
	LastAttempt string `json:"lastdeliveryattempttime"`
}

func (b *blobs) records(t *testing.T) []deadRecordJSON {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []deadRecordJSON
	for name, body := range b.put {
		var rs []deadRecordJSON
		if err := json.Unmarshal(body, &rs); err != nil {
			t.Fatalf("blob %s: %v", name, err)
		}
		all = append(all, rs...)
	}
	return all
}

// rig is a dispatcher over a fake log.
type rig struct {
	*Dispatcher
	disk     *disk
	log      *session
	registry *prometheus.Registry
	lines    *lockedBuffer
	ended    chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// with returns the lines that contain all of the words.
func (l *lockedBuffer) with(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
lines:
	for line := range strings.SplitSeq(l.b.String(), "\n") {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

func newRig(t testing.TB, k *disk, fuse int, change func(*Options)) *rig {
	t.Helper()
	r := &rig{disk: k, log: k.open(fuse), registry: prometheus.NewRegistry(), lines: new(lockedBuffer)}
	o := DefaultOptions()
	o.Log, o.Registerer = r.log, r.registry
	o.Logger = testLogger(r.lines)
	if change != nil {
		change(&o)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Dispatcher = d
	return r
}

func testLogger(to *lockedBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }

func (r *rig) start() {
	r.ended = make(chan error, 1)
	go func() { r.ended <- r.Run(context.Background()) }()
}

// stop drains and checks that Run ended well.
func (r *rig) stop(t testing.TB) {
	t.Helper()
	if err := r.Drain(context.Background()); err != nil {
		t.Errorf("Drain: %v", err)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// value sums the series of a metric that carry the given label values.
func (r *rig) value(t testing.TB, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if hasValues(m, labels) {
				sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func hasValues(m *dto.Metric, values []string) bool {
	for _, v := range values {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetValue() == v
		}
		if !found {
			return false
		}
	}
	return true
}

// sub returns a webhook subscription number n to everything.
func sub(t testing.TB, n byte, target destination.Target) *Subscription {
	t.Helper()
	name := fmt.Sprintf("sub%d", n)
	return &Subscription{
		UID: resource.UID{2, n}, ID: topicID + "/eventSubscriptions/" + name, Name: name, Topic: topicUID,
		Filter: everything(t), Kind: destination.WebHook, Target: target,
	}
}

// inBubble runs a dispatcher under a fake clock: setup before it starts, body
// while it runs.
func inBubble(
	t *testing.T, setup func(*rig) []*Subscription, body func(*rig), change ...func(*Options),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var c func(*Options)
		if len(change) > 0 {
			c = change[0]
		}
		r := newRig(t, newDisk(), -1, c)
		r.SetTopic(topicUID, topicID, setup(r))
		r.start()
		defer r.stop(t)
		body(r)
	})
}

// pass lets the fake clock of a bubble run.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
